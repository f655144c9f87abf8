"""The check of the API against its description finds an operation that does not keep it."""

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `studio` is not installed")
pytest.importorskip("schemathesis", reason="the extra `studio-browser-tests` is not installed")

from fastapi import FastAPI

from benchmarks import result_file
from experiments import studio_contract
from studio.server import job_routes


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_few_cases_of_every_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_routes, "SCORE_SECONDS", job_routes.SCORE_SECONDS)  # put back at the end
    output = tmp_path / "contract.json"
    assert studio_contract.main(["--cases", "3", "-o", str(output)]) == 0
    rows = result_file.read(output)["rows"]
    assert {"POST /api/v1/songs", "GET /healthz"} <= {row["operation"] for row in rows}
    assert studio_contract.main(["--cases", "3", "--resume", "-o", str(output)]) == 0
    assert result_file.read(output)["rows"] == rows


def test_an_operation_that_breaks_is_a_fault() -> None:
    app = FastAPI(openapi_url="/api/v1/openapi.json")

    @app.get("/half")
    def half(n: int) -> float:
        return 1 / (n - n)

    ((name, operation),) = studio_contract.operations(app)
    n_cases, fault = studio_contract.check(operation, 5)
    assert name == "GET /half" and n_cases and fault
