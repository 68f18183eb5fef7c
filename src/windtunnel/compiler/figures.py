"""Numbers as people read them in a column."""

from collections.abc import Sequence

# More of a rate is noise: it repeats to within a few per cent.
_DIGITS = 4


def render_rates(rates: Sequence[float]) -> list[str]:
    """Return rates with four digits that count, all with as many decimals as the least needs."""
    least = min((rate for rate in rates if rate > 0), default=0.0)
    decimals = 0 if least >= 100 else 1 if least >= 10 else 2  # noqa: PLR2004 - powers of ten
    return [f"{float(f'{rate:.{_DIGITS}g}'):,.{decimals}f}" for rate in rates]
