"""A package that can be called as the function of its name, and remains a package."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `shop_of_tests` with a module `till`, whose `pay` answers calls of the package."""
    folder = tmp_path / "shop_of_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from symbolic.callable_package import answer_calls_with\n"
        "answer_calls_with(__name__, 'shop_of_tests.till:pay')\n",
        encoding="utf-8",
    )
    (folder / "till.py").write_text("def pay(sum, *, tip=0):\n    return sum + tip\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in ("shop_of_tests", "shop_of_tests.till"):
        sys.modules.pop(name, None)


def test_function_is_imported_at_the_first_call_and_gets_all_arguments(shop: Path) -> None:
    import shop_of_tests

    assert "shop_of_tests.till" not in sys.modules
    assert shop_of_tests(5, tip=2) == 7
    assert "shop_of_tests.till" in sys.modules


def test_package_keeps_its_modules_and_shows_the_signature(shop: Path) -> None:
    import shop_of_tests
    from shop_of_tests import till

    assert inspect.ismodule(shop_of_tests) and shop_of_tests.till is till
    assert str(inspect.signature(shop_of_tests)) == "(sum, *, tip=0)"
    with pytest.raises(TypeError):
        shop_of_tests()
