"""Durations and shares as people write them."""

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab import quantities


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5m", 90), ("20", 20)],
)
def test_a_duration_is_read_whole(text: str, seconds: float) -> None:
    """What is measured must be what was asked for."""
    assert quantities.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["1mg", "", "s", "-5s", "1 m", "5 apples", "1e3s", "10s!"])
def test_a_duration_that_cannot_be_read_whole_is_refused(text: str) -> None:
    """The workshop's own script says `1mg`; taking that for a minute hides the mistake."""
    with pytest.raises(UsageError, match="not a length of time"):
        quantities.parse_duration(text)


def test_a_limit_without_its_unit_is_refused() -> None:
    """150 could be seconds or milliseconds, and the answers differ by a thousand."""
    with pytest.raises(UsageError):
        quantities.parse_duration_with_unit("150")


@pytest.mark.parametrize(("text", "share"), [("0.1%", 0.001), ("5%", 0.05), ("100%", 1.0)])
def test_a_percentage_is_a_share(text: str, share: float) -> None:
    """Objectives on errors are written as percentages."""
    assert quantities.parse_percent(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0.1", "101%", "%", "-1%", "1%%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    """`errors=0.1` might mean ten percent or a tenth of one."""
    with pytest.raises(UsageError, match="not a percentage"):
        quantities.parse_percent(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00123, "1.23 ms"),
        (0.1424, "142 ms"),
        (1.5, "1.5 s"),
        (59.96, "60 s"),
        (3725, "1 h 2 m 5 s"),
    ],
)
def test_durations_are_written_as_people_read_them(seconds: float, text: str) -> None:
    """Three digits tell what a person can act on; more are noise."""
    assert quantities.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (812_345, "812 kB"), (6_291_456, "6.29 MB")]
)
def test_sizes_are_written_as_people_read_them(count: int, text: str) -> None:
    """AWS counts its limits in bytes; people in megabytes."""
    assert quantities.format_bytes(count) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.00001, "under 0.01%"), (0.0012, "0.12%"), (0.355, "35.5%")]
)
def test_a_trace_of_errors_is_not_called_none(share: float, text: str) -> None:
    """Nine failures in a million are a bug report, not zero."""
    assert quantities.format_percent(share) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.124, "+12.4%"),
        (0.65, "\N{MINUS SIGN}35%"),
        (2.53, "x 2.5"),
        (389.0, "x 390"),
        (1.0, "+0%"),
    ],
)
def test_a_ratio_is_written_as_people_say_it(ratio: float, text: str) -> None:
    """`0.65` makes readers reach for a calculator."""
    assert quantities.format_change(ratio) == text
