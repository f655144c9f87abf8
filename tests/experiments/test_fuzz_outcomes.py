"""A refusal, a fault and a hang are three things."""

from experiments import fuzz_outcomes
from symbolic.errors import UserError


def test_faults_and_hangs_are_told_from_refusals() -> None:
    def hang() -> str:
        while True:
            pass

    def crash() -> str:
        return [][1]

    def refuse() -> str:
        raise UserError("no.")

    assert fuzz_outcomes.guarded(hang, 0.05)[1] == "FAULT: over 0 s"
    assert fuzz_outcomes.guarded(crash, 1)[1].startswith("FAULT: IndexError")
    assert (
        fuzz_outcomes.guarded(refuse, 1)[1] == "refused, UserError"
        and fuzz_outcomes.guarded(lambda: "kept", 1)[1] == "kept"
    )
