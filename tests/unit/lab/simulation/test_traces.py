"""Recorded traffic as requests per period."""

import gzip
from pathlib import Path

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation import traces


def _read(tmp_path: Path, text: str) -> traces.ReadTrace:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    return traces.read(path)


def test_minutes_are_read_as_they_are_and_gaps_count_as_nothing_and_are_told(
    tmp_path: Path,
) -> None:
    """The World Cup's own file has ten missing minutes."""
    read = _read(
        tmp_path,
        "period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n1998-04-30 21:34:00,16\n",
    )

    assert read.demand.counts.tolist() == [2, 11, 0, 0, 16]
    assert (read.demand.period_s, read.demand.start_s) == (60, 893971800.0)
    assert read.notes == (
        "2 periods are missing in it, the first at 1998-04-30 21:32:00: they count as without "
        "requests",
    )


def test_longer_periods_are_spread_and_shorter_ones_summed(tmp_path: Path) -> None:
    """No request is lost or made up, whatever the rows' length."""
    hours = _read(tmp_path, "period,count\n2024-01-01 00:00:00,60\n2024-01-01 01:00:00,120\n")
    halves = _read(
        tmp_path,
        "period,count\n2024-01-01 00:00:30,1\n2024-01-01 00:01:00,2\n2024-01-01 00:01:30,4\n",
    )

    assert hours.demand.counts.tolist() == [1] * 60 + [2] * 60
    assert "hides every burst" in hours.notes[0]
    assert halves.demand.counts.tolist() == [1, 6]
    assert halves.notes == ()


def test_moments_are_counted_in_periods_of_ten_seconds_and_whole_minutes(tmp_path: Path) -> None:
    """Timestamps keep what a metric of ten seconds would see."""
    read = _read(tmp_path, "0.0\n0.25\n9.999\n10\n61\n")

    assert read.demand.period_s == 10
    assert read.demand.counts.tolist() == [3, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    dated = _read(tmp_path, "2024-01-01T00:00:05\n2024-01-01T00:00:15\n")
    assert dated.demand.counts.tolist() == [1, 1, 0, 0, 0, 0]


def test_a_packed_trace_is_read_like_any_other(tmp_path: Path) -> None:
    """Two months of minutes are kept packed."""
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(b"period,count\n2024-01-01 00:00,1\n2024-01-01 00:01,2\n"))

    assert traces.read(path).demand.counts.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("period,count\n2024-01-01 00:01,1\n2024-01-01 00:00,1\n", "line 3 .* sort the rows"),
        ("period,count\n2024-01-01 00:01,1\n2024-01-01 00:01,1\n", "line 3 .* sort the rows"),
        ("period,count\n2024-01-01 00:01,-1\n", "line 2 has a count that is none"),
        ("period,count\n2024-01-01 00:01,nan\n", "line 2 has a count that is none"),
        ("period,count\nyesterday,1\n", "line 2 is not a time and a count"),
        ("period,count\n2024-01-01 00:01,1\n", "two periods"),
        ("1\n0\n", "line 2 lies before"),
        ("1\nsoon\n", "line 2 is neither"),
        ("-1\n", "line 1 is not a moment"),
        ("", "is empty"),
        ("0\n1e12\n", "longer than"),
    ],
)
def test_a_trace_that_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    """Half of a trace is another one."""
    with pytest.raises(UsageError, match=sentence):
        _read(tmp_path, text)
