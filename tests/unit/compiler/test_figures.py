"""Numbers as people read them."""

import pytest

from windtunnel.compiler.figures import render_rates


@pytest.mark.parametrize(
    ("rates", "shown"),
    [
        ([10167.8, 11684.0, 8272.3], ["10,170", "11,680", "8,272"]),
        ([62.27, 112.83], ["62.3", "112.8"]),
        ([0.553, 62.27, 0.0], ["0.55", "62.27", "0.00"]),
        ([1234567.0], ["1,235,000"]),
        ([], []),
    ],
)
def test_rates_have_thousands_and_one_number_of_decimals(
    rates: list[float], shown: list[str]
) -> None:
    """A column that can be compared; what is beyond four digits is noise."""
    assert render_rates(rates) == shown
