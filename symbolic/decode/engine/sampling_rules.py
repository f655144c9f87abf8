"""The settings of sampling, free of PyTorch so that a command line can name them at once.

symbolic.decode.engine.sampling says what each does, in which order, and where it comes from.
"""

from dataclasses import dataclass

from symbolic.errors import UsageError

MIN_TEMPERATURE = 0.01  # below it only the likeliest token is left, and numbers overflow
MAX_TEMPERATURE = 10.0  # above it every token is as likely as any other


@dataclass(frozen=True, slots=True)
class Sampling:
    """The rules and their settings; the defaults leave the model's own distribution untouched."""

    temperature: float = 1.0  # 0 is greedy
    top_k: int = 0  # 0 is off
    top_p: float = 1.0  # 1 is off
    min_p: float = 0.0  # 0 is off

    def __post_init__(self) -> None:
        in_range = self.temperature == 0 or MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE
        allowed = f"0 (greedy), or {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
        _require(in_range, "temperature", self.temperature, allowed)
        _require(self.top_k >= 0, "top-k", self.top_k, "0 (off) or more")
        _require(0 < self.top_p <= 1, "top-p", self.top_p, "above 0 and at most 1 (off)")
        _require(0 <= self.min_p < 1, "min-p", self.min_p, "at least 0 (off) and below 1")

    @property
    def greedy(self) -> bool:
        """True where the likeliest token is always taken."""
        return self.temperature == 0

    @property
    def truncates(self) -> bool:
        """True where tokens are left out for their rank or probability."""
        return not self.greedy and (self.top_k > 0 or self.top_p < 1 or self.min_p > 0)


def _require(holds: bool, name: str, value: float, allowed: str) -> None:
    if not holds:
        raise UsageError(f"{name} is {value}; it must be {allowed}.")


DEFAULT = Sampling(min_p=0.05)  # of tunes: of eleven settings nearest to human self-similarity and diversity
