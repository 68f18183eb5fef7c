"""What a person is told before they pay."""

import pytest

from windtunnel.aws.prices import Price
from windtunnel.lab.cost import Cost
from windtunnel.lab.quantities import format_usd


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.23, "$0.23"),
        (0.1020, "$0.102"),
        (12.0, "$12.00"),
        (1234.5, "$1,234.50"),
        (0.7364, "$0.7364"),
    ],
)
def test_a_price_keeps_its_digits(usd: float, text: str) -> None:
    """$0.10 for $0.102 is two per cent of a bill."""
    assert format_usd(usd) == text


def test_a_known_price_is_told_for_all_instances_and_for_a_time() -> None:
    """Four instances for half an hour is what is paid for, not one for an hour."""
    cost = Cost("ml.m5.xlarge", 4, Price(0.23, "AWS's price list, asked now"))

    assert cost.sentences()[0] == (
        "4 x ml.m5.xlarge cost $0.92 an hour (AWS's price list, asked now)."
    )
    assert "about $0.46 for 30 m" in cost.sentence_for(1800)


def test_an_unknown_price_is_called_so_and_says_where_to_look() -> None:
    """A made-up number would be believed."""
    cost = Cost("ml.x9.large", 2, None, "AWS's price list has no one price for it")

    assert "not known here" in cost.sentences()[0]
    assert "aws.amazon.com/sagemaker/pricing" in cost.sentences()[1]
    assert not any("$" in sentence for sentence in cost.sentences())
    assert "2 x ml.x9.large for 30 m are 1 instance-hours" in cost.sentence_for(1800)
