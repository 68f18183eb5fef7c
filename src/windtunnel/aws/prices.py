"""What an hour of one instance behind a SageMaker endpoint costs.

The truth is AWS's Price List API: `filters` is the question to its GetProducts, `read` takes one
product of its answer. Where it cannot be asked, a few prices are known with the day on which they
were read (`dated`). What neither knows is unknown: no price is ever worked out from another's.

Sources: botocore's model of `pricing`; the products themselves, as published answers show them:
usage type `USE2-Host:ml.g6.xlarge`, unit `Hrs`, "$1.1267 per Hosting ml.g6.xlarge hour in US East
(Ohio)". Other products of the same type (`Train:`, `Notebk:`, `AsyncInf:` …) have other prices.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SERVICE_CODE = "AmazonSageMaker"
# Where the Price List API answers, for whatever region is asked (botocore's endpoints.json).
API_REGION = "us-east-1"
PRICING_PAGE = "https://aws.amazon.com/sagemaker/pricing/"


@dataclass(frozen=True)
class Price:
    """On-demand US dollars for an hour of one instance, and whose word that is."""

    usd_per_hour: float
    source: str


# From answers of the Price List API for usage types `USE1-Host:TYPE` that were published with
# their date: ml.m5.large and others in public notes on SageMaker's cost.
_US_EAST_1 = {
    "ml.m5.large": (0.115, "2026-07-30"),
    "ml.m5.xlarge": (0.23, "2026-09-28"),
    "ml.m5.2xlarge": (0.461, "2026-09-28"),
}


def dated(instance_type: str, region: str) -> Price | None:
    """Return a price written down here, None where there is none for this region."""
    if region != "us-east-1" or instance_type not in _US_EAST_1:
        return None
    usd_per_hour, day = _US_EAST_1[instance_type]
    return Price(usd_per_hour, f"AWS's price list of {day}")


def filters(instance_type: str, region: str) -> list[dict[str, str]]:
    """Return the filters of GetProducts that leave the products of one type in one region."""
    wanted = {"instanceName": instance_type, "regionCode": region}
    return [
        {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
    ]


def read(products: Iterable[str], instance_type: str) -> Price | None:
    """Return the hosting price in GetProducts' answer, None where it is not one clear number."""
    found = {usd for text in products for usd in _hosting_prices(json.loads(text), instance_type)}
    # A price of nothing is a free tier's line, not what an hour costs.
    found.discard(0.0)
    return Price(found.pop(), "AWS's price list, asked now") if len(found) == 1 else None


def _hosting_prices(product: Mapping[str, Any], instance_type: str) -> Iterable[float]:
    usage_type = product.get("product", {}).get("attributes", {}).get("usagetype", "")
    # The first regions' usage types have no prefix.
    if not re.fullmatch(rf"(?:[A-Z0-9]+-)?Host:{re.escape(instance_type)}", usage_type):
        return
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            if dimension.get("unit", "").lower() in {"hrs", "hours", "hour"}:
                usd = dimension.get("pricePerUnit", {}).get("USD")
                if usd is not None:
                    yield float(usd)
