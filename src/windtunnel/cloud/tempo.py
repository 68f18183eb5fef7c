"""How fast scaling's time passes in this cloud: `up --warp K`.

Durations of scaling (alarm periods, cooldowns, rates of schedules) last 1/K as long; counts are
never multiplied, and moments stay those of the real clock: a warped minute's sum is that of 60/K
seconds. So everything that decides runs on the real clock with shorter durations, and nothing there
knows of K.

What CloudWatch keeps, it keeps by the second: K divides 60, so that a minute lasts whole seconds.
High-resolution periods of 10 s last a second at least.
"""

from dataclasses import dataclass

WARPS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)


@dataclass(frozen=True)
class Tempo:
    """How many times as fast as AWS's."""

    factor: int = 1

    def __post_init__(self) -> None:
        assert self.factor in WARPS

    @property
    def is_warped(self) -> bool:
        """Whether anything is shorter than on AWS."""
        return self.factor > 1

    def lasts_s(self, duration_s: float) -> float:
        """Return how long something lasts here that takes so long on AWS."""
        return duration_s / self.factor

    def period_s(self, period_s: int) -> int:
        """Return how long a period of CloudWatch's lasts here: whole seconds."""
        return max(1, round(period_s / self.factor))

    @property
    def label(self) -> str:
        """What every output of a warped cloud carries."""
        return f"clock x{self.factor}"

    def sentence(self) -> str:
        """Say it to whoever starts the cloud."""
        return (
            f"{self.label}: a minute of alarms and cooldowns lasts {self.lasts_s(60):g} s, with as "
            "many requests as come in that time."
        )


REAL = Tempo()
