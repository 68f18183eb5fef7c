"""What a load run on AWS is likely to cost: its endpoint's instances, for as long as it takes.

They are charged whether the run happens or not; the figure says what it is about, and is what a
limit is held to.
"""

from dataclasses import dataclass

from windtunnel.aws import prices
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.cost import Cost
from windtunnel.lab.quantities import format_duration, format_usd

_HOUR_S = 3600.0
# After the last request was sent, until it is answered or given up.
_DRAIN_S = limits.INVOKE_CLIENT_TIMEOUT_S + limits.INVOKE_CONNECT_TIMEOUT_S


@dataclass(frozen=True)
class RunCost:
    """The instances of each variant, and for how long requests are sent, the warm-up included."""

    variants: tuple[Cost, ...]
    load_s: float

    @property
    def usd(self) -> float | None:
        """Return the likely cost, None where a price is unknown."""
        total = 0.0
        for cost in self.variants:
            if cost.usd_per_hour is None:
                return None
            total += cost.usd_per_hour * self._length_s / _HOUR_S
        return total

    def sentences(self) -> list[str]:
        """Say what it costs, and for how long."""
        length = (
            f"that is {format_duration(self.load_s)} of load and up to "
            f"{format_duration(_DRAIN_S)} until the last request is answered; data and tax come on "
            "top"
        )
        return [*(cost.sentence_for(self._length_s) for cost in self.variants), length]

    def check(self, usd_max: float) -> None:
        """Refuse a run that costs more than it may, or whose cost nobody knows."""
        if self.usd is None:
            # Why it is not known was just said.
            unknown = " and ".join(
                cost.instance_type for cost in self.variants if cost.price is None
            )
            raise UsageError(
                f"The price of {unknown} is unknown here, so that --max-cost "
                f"{format_usd(usd_max)} cannot be held: look it up at {prices.PRICING_PAGE}, and "
                "leave --max-cost out if you accept it."
            )
        if self.usd > usd_max:
            raise UsageError(
                f"The run is likely to cost {format_usd(self.usd)}, and --max-cost allows "
                f"{format_usd(usd_max)}: shorten it, or raise --max-cost."
            )

    @property
    def _length_s(self) -> float:
        return self.load_s + _DRAIN_S
