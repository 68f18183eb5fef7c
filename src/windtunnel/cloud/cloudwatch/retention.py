"""How finely values are kept for how long: AWS's own tiers.

Each value is in exactly one of the tiers of a minute, of five minutes and of an hour, and moves to
the next when it is too old for the one it is in; values of high resolution are in the tier of a
second as well, for as long as that lasts. So every period is read from as few rows as can be, and
nothing is counted twice.
"""

from dataclasses import dataclass

from windtunnel.core import limits


@dataclass(frozen=True)
class Tier:
    """Rows of one width, and how long they are kept."""

    width_s: int
    kept_s: int


SECOND = Tier(1, limits.METRIC_SECONDS_KEPT_S)
# Where values are written to first, and where they go from there.
LADDER = (
    Tier(60, limits.METRIC_MINUTES_KEPT_S),
    Tier(300, limits.METRIC_FIVE_MINUTES_KEPT_S),
    Tier(3600, limits.METRIC_HOURS_KEPT_S),
)
MINUTE = LADDER[0]


def tiers_of(period_s: int) -> tuple[Tier, ...]:
    """Return the tiers whose rows add up to windows of a period."""
    # What is no whole number of minutes occurs in clouds whose minutes are shorter (`tempo.py`).
    if period_s % MINUTE.width_s:
        return (SECOND,)
    return tuple(tier for tier in LADDER if period_s % tier.width_s == 0)


def kept_s(period_s: int) -> int:
    """Return how far back values can be read in windows of a period."""
    return max(tier.kept_s for tier in tiers_of(period_s))
