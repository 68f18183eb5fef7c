"""What a person means by `90s`, `1m30s`, `150ms` or `0.1%`, and how to write such things back.

Pure. A quantity that cannot be read whole is refused: `1mg` is not one minute, and a load test
that takes it for one runs something nobody asked for.
"""

import re

from windtunnel.core.errors import UsageError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
# Percentages are written to a hundredth.
_TRACE = 0.0001
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def parse_duration(text: str, what: str = "duration") -> float:
    """Return seconds from `30s`, `1m30s`, `500ms`, `2h` or a bare number of seconds."""
    if _NUMBER.fullmatch(text):
        return float(text)
    return parse_duration_with_unit(text, what)


def parse_duration_with_unit(text: str, what: str = "duration") -> float:
    """Return seconds; a bare number is refused, where seconds and milliseconds are both likely."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"The {what} {text!r} is not a length of time: write 500ms, 30s or 1m30s.")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_percent(text: str, what: str = "share") -> float:
    """Return the fraction that `0.1%` names."""
    number = text.removesuffix("%")
    if number == text or not _NUMBER.fullmatch(number) or float(number) > 100:  # noqa: PLR2004
        raise UsageError(f"The {what} {text!r} is not a percentage: write 1% or 0.1%.")
    return float(number) / 100


def format_duration(duration_s: float) -> str:
    """Return a duration as a person writes it, to three significant digits."""
    if duration_s < 1:
        return f"{_digits(duration_s * 1000)} ms"
    if duration_s < 60:  # noqa: PLR2004 - a minute
        return f"{_digits(duration_s)} s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def format_bytes(count: float) -> str:
    """Return a size as a person writes it, in decimal units, to three significant digits."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004 - decimal units
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{_digits(count)} {unit}"
        count /= 1000
    return f"{_digits(count)} GB"


def format_bytes_exactly(count: int) -> str:
    """Return a size to the byte, and how a person reads it where that helps."""
    exactly = f"{count:,} bytes"
    return exactly if count < 1000 else f"{exactly} ({format_bytes(count)})"  # noqa: PLR2004


def format_rate(per_s: float) -> str:
    """Return a rate to three significant digits; whole numbers above that."""
    return _digits(per_s)


def format_percent(share: float) -> str:
    """Return a fraction as a percentage, to three digits; a trace is not called none."""
    if 0 < share < _TRACE:
        return f"under {_digits(_TRACE * 100)}%"
    return f"{_digits(share * 100)}%"


def format_change(ratio: float) -> str:
    """Return a ratio as a person says it: a signed percentage, or a multiple."""
    if ratio >= 2:  # noqa: PLR2004 - from here on a multiple is easier to picture than a percentage
        number = float(f"{ratio:.2g}")
        return f"x {number:,.0f}" if number >= 10 else f"x {number:g}"  # noqa: PLR2004 - a digit left
    sign = "+" if ratio >= 1 else "\N{MINUS SIGN}"
    return f"{sign}{format_percent(abs(ratio - 1))}"


def format_usd(usd: float) -> str:
    """Return US dollars: cents always, and what a price list says beyond them."""
    text = f"{usd:,.4f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:<02}"


def _digits(value: float) -> str:
    for digits, bound in ((2, 9.995), (1, 99.95)):
        if abs(value) < bound:
            return f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0"
    return f"{value:,.0f}"
