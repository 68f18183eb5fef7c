"""What instances on AWS cost, asked of AWS's price list, said before anything is made.

The price list is asked first. That it cannot be (no leave, no answer) must not stop a deployment:
then a price that is written down with its day serves, and else the cost is called unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from windtunnel.aws import prices
from windtunnel.aws.prices import Price
from windtunnel.core.errors import WindtunnelError
from windtunnel.lab import refusals
from windtunnel.lab.quantities import format_duration, format_usd
from windtunnel.lab.target import Target

_HOUR_S = 3600.0


@dataclass(frozen=True)
class Cost:
    """What so many instances of a type cost by the hour, as far as it is known."""

    instance_type: str
    instance_count: int
    price: Price | None
    # Why it is not known, or from when it is.
    remark: str = ""

    @property
    def usd_per_hour(self) -> float | None:
        """Return the sum for all instances, None when the price is unknown."""
        return None if self.price is None else self.price.usd_per_hour * self.instance_count

    def sentences(self) -> list[str]:
        """Say what the instances cost from their creation on."""
        what = f"{self.instance_count} x {self.instance_type}"
        if self.price is None or self.usd_per_hour is None:
            return [
                f"What {what} cost an hour is not known here ({self.remark}).",
                f"Look at {prices.PRICING_PAGE} for it.",
                "They are charged from creation to removal, used or not.",
            ]
        source = f"{self.price.source}; {self.remark}" if self.remark else self.price.source
        return [
            f"{what} cost {format_usd(self.usd_per_hour)} an hour ({source}).",
            "They are charged from creation to removal, used or not; storage and tax come on top.",
        ]

    def sentence_for(self, duration_s: float) -> str:
        """Say what the instances cost over a stretch of time."""
        what = f"{self.instance_count} x {self.instance_type}"
        length = format_duration(duration_s)
        if self.price is None or self.usd_per_hour is None:
            hours = self.instance_count * duration_s / _HOUR_S
            return (
                f"{what} for {length} are {hours:.3g} instance-hours; their price is not known "
                f"here ({self.remark}): look at {prices.PRICING_PAGE}"
            )
        usd = self.usd_per_hour * duration_s / _HOUR_S
        return (
            f"{what} cost {format_usd(self.usd_per_hour)} an hour ({self.price.source}), about "
            f"{format_usd(usd)} for {length}, used or not"
        )


def of_instances(target: Target, instance_type: str, instance_count: int) -> Cost:
    """Return what instances of a type cost where the target is."""
    try:
        with refusals.explained("AWS's price list"):
            price = prices.read(_products(target, instance_type), instance_type)
        remark = "" if price else "AWS's price list has no one price for it"
    except (WindtunnelError, ValueError) as error:
        price, remark = None, str(error).rstrip(".")
    return Cost(
        instance_type,
        instance_count,
        price or prices.dated(instance_type, target.region),
        remark,
    )


def _products(target: Target, instance_type: str) -> Iterable[str]:
    # One page holds a hundred products; a type has one for each of SageMaker's dozen purposes.
    answer = target.price_list().get_products(
        ServiceCode=prices.SERVICE_CODE,
        Filters=prices.filters(instance_type, target.region),
        MaxResults=100,
    )
    products: list[str] = answer["PriceList"]
    return products
