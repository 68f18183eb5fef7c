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


def test_periods_may_be_called_by_seconds(tmp_path: Path) -> None:
    """As in files of moments: from the epoch, or from the start; a date without dashes is one."""
    epoch = _read(tmp_path, "period,count\n1704067200,1\n1704067260,2\n")
    numbered = _read(tmp_path, "period,count\n0,1\n1,2\n60,4\n")
    days = _read(tmp_path, "period,count\n20240101,1440\n20240102,2880\n")
    # In the midst of seconds this is one, and not a day.
    seconds = _read(tmp_path, "period,count\n20240100,1\n20240120,1\n")

    assert (epoch.demand.start_s, epoch.demand.counts.tolist()) == (1704067200, [1, 2])
    assert epoch.notes == ()
    assert numbered.demand.counts.tolist() == [3, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0]
    assert "taken as seconds: each of its periods is 1 s long" in numbered.notes[-1]
    assert days.demand.start_s == 1704067200
    assert days.demand.counts.tolist() == [1] * 1440 + [2] * 1440
    assert (seconds.demand.start_s, seconds.demand.counts.tolist()) == (20240100, [2])


def test_the_mark_at_the_start_of_excels_files_is_skipped(tmp_path: Path) -> None:
    """Its "CSV UTF-8" looks to the eye like any other."""
    text = "\ufeffperiod,count\r\n2024-01-01 00:00,1\r\n2024-01-01 00:01,2\r\n"

    assert _read(tmp_path, text).demand.counts.tolist() == [1, 2]
    assert _read(tmp_path, "\ufeff0\n10\n").demand.counts.tolist() == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("period,count\n2024-01-01 00:01,1\n2024-01-01 00:00,1\n", "line 3 .* sort the rows"),
        ("period,count\n2024-01-01 00:01,1\n2024-01-01 00:01,1\n", "line 3 .* sort the rows"),
        ("period,count\n2024-01-01 00:01,-1\n", "line 2 .* is no number of 0 or more: '-1'"),
        ("period,count\n2024-01-01 00:01,nan\n", "line 2 .* is no number of 0 or more: 'nan'"),
        ("period,count\n2024-01-01 00:01,few\n", "line 2 .* is no number of 0 or more: 'few'"),
        ("period,count\n2024-01-01 00:01\n", "line 2 is not a time and a count"),
        ("period,count\nyesterday,1\n", "line 2 has a time that is no date: 'yesterday'"),
        ("period,count\n1704067200000,1\n", "line 2 .* no number of seconds from 0 to the year"),
        ("period,count\n0,1\n2024-01-01 00:01,1\n", "line 3 .* no number of seconds"),
        ("period,count\n2024-01-01 00:01,1\n60,1\n", "line 3 .* no date: '60'"),
        ("period,count\n2024-01-01 00:01,1\n", "two periods"),
        ("1\n0\n", "line 2 lies before"),
        ("1\nsoon\n", "line 2 is neither"),
        ("-1\n", "line 1 is not a moment"),
        ("", "is empty"),
        ("0\n1e10\n", "longer than"),
        ("1704067200000\n", "line 1 is not a moment"),
        ("2026-01-01 00:01:00,201\n", "line 1 has a second column: put the line `period,count`"),
        ("0\n60,201\n", "line 2 has a second column: put the line `period,count`"),
        ("when,how many\n0,1\n", "line 1 has a second column: put the line `period,count`"),
    ],
)
def test_a_trace_that_cannot_be_meant_is_refused_with_its_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    """Half of a trace is another one."""
    with pytest.raises(UsageError, match=sentence):
        _read(tmp_path, text)
