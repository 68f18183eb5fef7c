"""What instance-hours cost, and what that figure may be called.

A capacity that was measured on this machine is not what an ml.* type does: its hours are never
turned into dollars, but shown relative to another setting's. A capacity measured on AWS, or one
that the user vouches for, is; with whose price it is.
"""

from dataclasses import dataclass
from typing import Any

from windtunnel.aws import prices
from windtunnel.aws.prices import Price
from windtunnel.core.errors import UsageError


@dataclass(frozen=True)
class Rate:
    """What an instance-hour costs here, and how far a figure made of it can be trusted."""

    fidelity: str
    instance_type: str | None = None
    price: Price | None = None

    def usd(self, instance_hours: float) -> float | None:
        """Return the dollars for some hours, None where that would say more than is known."""
        if self.price is None or self.fidelity == "stand-in":
            return None
        return self.price.usd_per_hour * instance_hours

    @property
    def remark(self) -> str:
        """Why there are dollars, or why there are none."""
        if self.fidelity == "stand-in":
            return (
                "what an instance can do was measured on this machine: costs are shown relative to "
                "the first policy's only"
            )
        if self.price is None and self.instance_type is None:
            return "no --instance-type was named, and no --price"
        if self.price is None:
            return (
                f"the price of {self.instance_type} is not known here: give --price USD, from "
                f"{prices.PRICING_PAGE}"
            )
        name, hour = self.instance_type or "an instance", f"${self.price.usd_per_hour:g} an hour"
        return f"{name} at {hour} ({self.price.source}); what it can do was {self.fidelity}"

    def record(self, instance_hours: float, first_hours: float) -> dict[str, Any]:
        """Return the cost of some hours as `result.json` keeps it."""
        return {
            "usd": self.usd(instance_hours),
            "relative": instance_hours / first_hours if first_hours else None,
            "fidelity": self.fidelity,
            "remark": self.remark,
        }


def rate(
    fidelity: str, instance_type: str | None, region: str, usd_per_hour: float | None = None
) -> Rate:
    """Return what an instance-hour costs: as given, else from the prices written down here."""
    if usd_per_hour is not None:
        if not 0 < usd_per_hour < float("inf"):
            raise UsageError(f"The price {usd_per_hour:g} is not above 0.")
        return Rate(fidelity, instance_type, Price(usd_per_hour, "--price"))
    price = None if instance_type is None else prices.dated(instance_type, region)
    return Rate(fidelity, instance_type, price)
