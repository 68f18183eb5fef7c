"""Recorded traffic: what is read, and what is refused."""

import gzip
from pathlib import Path

import pytest

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.arrivals import EvenArrivals, ListedArrivals, RateProfile
from windtunnel.lab.load.trace import Trace, open_trace

_COUNTS = (
    "period,count\n"
    "1998-04-30 21:30:00,2\n"
    "1998-04-30 21:31:00,3\n"
    "1998-04-30 21:34:00,1\n"
    "1998-05-01 00:00:00,4\n"
)


def _trace(
    path: Path, *, scale: float = 1.0, speed: float = 1.0, first_period: str | None = None
) -> Trace:
    return open_trace(path, scale=scale, speed=speed, first_period=first_period)


def _due(trace: Trace) -> list[float]:
    found = trace.read()
    arrivals = EvenArrivals(found) if isinstance(found, RateProfile) else found
    return [float(at_s) for chunk in arrivals.chunks() for at_s in chunk]


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts.csv"
    path.write_text(_COUNTS)
    return path


def test_a_periods_requests_are_spread_over_it_and_gaps_stay(counts: Path) -> None:
    """Minutes without a line had no traffic; closing them up would make a busier day."""
    due_s = _due(_trace(counts))

    assert due_s[:6] == pytest.approx([0, 30, 60, 80, 100, 240])
    midnight_s = 150 * 60
    assert due_s[6:] == pytest.approx([midnight_s + 15 * i for i in range(4)])


def test_time_can_be_made_to_pass_faster_and_counts_to_grow(counts: Path) -> None:
    """Nobody waits for two months; and tomorrow's traffic is today's, times two."""
    fast = _due(_trace(counts, speed=60))
    double = _due(_trace(counts, scale=2))

    assert fast[:6] == pytest.approx([0, 0.5, 1, 4 / 3, 5 / 3, 4])
    assert double[:4] == pytest.approx([0, 15, 30, 45])
    assert len(double) == 20


def test_a_replay_can_start_in_the_middle(counts: Path) -> None:
    """The day of the match is what one wants to see."""
    assert _due(_trace(counts, first_period="1998-05-01")) == pytest.approx([0, 15, 30, 45])
    with pytest.raises(UsageError, match="goes from 1998-04-30 21:30:00 to 1998-05-01 00:00:00"):
        _trace(counts, first_period="1999").read()


def test_a_packed_trace_is_the_same_trace(counts: Path, tmp_path: Path) -> None:
    """Traces are kept packed."""
    packed = tmp_path / "counts.csv.gz"
    packed.write_bytes(gzip.compress(_COUNTS.encode()))

    assert _due(_trace(packed)) == _due(_trace(counts))


def test_moments_are_replayed_as_they_are_written(tmp_path: Path) -> None:
    """An access log has them to the millisecond."""
    path = tmp_path / "moments.txt"
    path.write_text("0.5\n0.5\n\n2\n7.25\n")
    trace = _trace(path)
    found = trace.read()

    assert _due(trace) == [0.5, 0.5, 2.0, 7.25]
    assert isinstance(found, ListedArrivals)
    assert found.length_s == 8.0
    assert found.expected_before(0.6) == 2
    assert _due(_trace(path, speed=2)) == [0.25, 0.25, 1.0, 3.625]


@pytest.mark.parametrize("begin_s", [0, 893971800])
def test_periods_may_be_called_by_seconds(tmp_path: Path, begin_s: int) -> None:
    """Many tools write time as they keep it: from the epoch, or from the start."""
    path = tmp_path / "counts.csv"
    path.write_text(f"period,count\n{begin_s},2\n{begin_s + 60.0},3\n{begin_s + 240},1\n")

    assert _due(_trace(path)) == pytest.approx([0, 30, 60, 80, 100, 240])


def test_the_mark_at_the_start_of_excels_files_is_skipped(counts: Path, tmp_path: Path) -> None:
    """Its "CSV UTF-8" looks to the eye like any other."""
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + _COUNTS.encode())

    assert _due(_trace(marked)) == _due(_trace(counts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("period,count\n1998-04-30 21:30:00,2\n", "two periods"),
        ("period,count\nyesterday,2\n", "line 2 has a time that is no date: 'yesterday'"),
        ("period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,-1\n", "0 or more: '-1'"),
        ("period,count\n1998-04-30 21:30:00,nan\n", "line 2 .* no number of 0 or more: 'nan'"),
        ("period,count\n0,1\nsoon,1\n", "line 3 has a time that is no number of seconds"),
        ("period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:30:00,1\n", "line 3 does not come"),
        ("period,count\n1998-04-30 21:30:00\n", "line 2 is not a time and a count"),
        ("1.0\n0.5\n", "line 2 lies before"),
        ("-1\n", "line 1 is not a moment"),
        ("inf\n", "line 1 is not a moment"),
        ("when,how many\n1,2\n", "does not start with `period,count`"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_line(
    tmp_path: Path, text: str, expected: str
) -> None:
    """Half of a trace is another trace, and would be replayed without a word."""
    path = tmp_path / "trace"
    path.write_text(text)

    with pytest.raises(UsageError, match=expected):
        _trace(path).read()


def test_what_cannot_be_read_or_unpacked_is_said(tmp_path: Path) -> None:
    """A stack trace names no file."""
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(_COUNTS.encode())[:-12])
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UsageError, match="cannot be read: No such file"):
        _trace(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot be unpacked"):
        _trace(broken).read()
    with pytest.raises(UsageError, match="is not text"):
        _trace(binary).read()


def test_a_trace_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes can unpack to gigabytes."""
    monkeypatch.setattr(limits, "LOAD_TRACE_BYTES_MAX", 1000)
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress(b"1\n" * 100_000))

    with pytest.raises(UsageError, match="larger than 1,000 bytes"):
        _trace(path).read()


def test_a_trace_that_changed_meanwhile_is_not_replayed(counts: Path) -> None:
    """What was checked and what is sent must be the same."""
    trace = _trace(counts)
    counts.write_text(_COUNTS + "1998-05-01 00:01:00,1000000\n")

    with pytest.raises(UsageError, match="changed"):
        trace.read()


def test_what_means_nothing_for_a_list_of_moments_is_refused(tmp_path: Path) -> None:
    """An option that is ignored makes people believe that it worked."""
    path = tmp_path / "moments.txt"
    path.write_text("1\n")

    for trace in (_trace(path, scale=2), _trace(path, first_period="1998")):
        with pytest.raises(UsageError, match="lists moments"):
            trace.read()
