"""What an hour of an instance costs, read from AWS's own list."""

import json
from typing import Any

import pytest

from windtunnel.aws import prices


def _product(usage_type: str, usd: str | None, unit: str = "Hrs") -> str:
    """Return a product as GetProducts answers it: text with the parts that matter here."""
    per_unit = {} if usd is None else {"USD": usd}
    dimension: dict[str, Any] = {"unit": unit, "pricePerUnit": per_unit}
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usage_type}},
            "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}},
        }
    )


def test_the_price_of_hosting_is_taken_and_no_other() -> None:
    """Training and notebooks are priced differently; their price would be a wrong bill."""
    products = [
        _product("USE2-Train:ml.g6.xlarge", "1.0"),
        _product("USE2-AsyncInf:ml.g6.xlarge", "1.2"),
        _product("USE2-Host:ml.g6.xlarge", "1.1267000000"),
    ]
    price = prices.read(products, "ml.g6.xlarge")

    assert price is not None
    assert price.usd_per_hour == 1.1267


def test_the_oldest_regions_have_no_prefix() -> None:
    """us-east-1's first usage types read `Host:ml.m5.large`."""
    price = prices.read([_product("Host:ml.m5.large", "0.115")], "ml.m5.large")

    assert price is not None
    assert price.usd_per_hour == 0.115


@pytest.mark.parametrize(
    "products",
    [
        [],
        [_product("USE1-Host:ml.m5.xlarge", "0.23")],
        [_product("USE1-Host:ml.m5.large", None)],
        [_product("USE1-Host:ml.m5.large", "0.0")],
        [_product("USE1-Host:ml.m5.large", "0.1", unit="GB-Mo")],
        [_product("USE1-Host:ml.m5.large", "0.1"), _product("EU-Host:ml.m5.large", "0.2")],
        ["{}"],
    ],
    ids=["none", "another type", "another currency", "free", "another unit", "two", "empty"],
)
def test_what_is_not_one_clear_price_is_unknown(products: list[str]) -> None:
    """A person decides by this number: a guess is worse than none."""
    assert prices.read(products, "ml.m5.large") is None


def test_a_written_down_price_says_from_when_it_is() -> None:
    """Prices change; who reads an old one must see that it is old."""
    price = prices.dated("ml.m5.xlarge", "us-east-1")

    assert price is not None
    assert (price.usd_per_hour, price.source) == (0.23, "AWS's price list of 2026-09-28")


@pytest.mark.parametrize(
    ("instance_type", "region"), [("ml.m5.xlarge", "eu-west-1"), ("ml.x9.large", "us-east-1")]
)
def test_no_price_is_taken_from_another_region_or_type(instance_type: str, region: str) -> None:
    """Regions differ by a fifth and more."""
    assert prices.dated(instance_type, region) is None
