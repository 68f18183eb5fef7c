"""An instance's log, read as events: nothing lost, nothing twice, every line at its time."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from windtunnel.cloud.fleet import logs as fleet_logs
from windtunnel.cloud.fleet.logs import Log
from windtunnel.cloud.logs import instance_stream
from windtunnel.cloud.logs.events import Window
from windtunnel.cloud.logs.instance_stream import InstanceStream
from windtunnel.core import limits

NOW_S = 1_700_000_000.0
NOW_MS = 1_700_000_000_000

_PIECES = st.lists(st.sampled_from(["a", "bc", "\n", "ü", "\r\n", "x" * 50]), max_size=8).map(
    lambda parts: "".join(parts).encode()
)


class Written:
    """A log and what a reader should find in it, kept the simple way."""

    def __init__(self, folder: Path) -> None:
        self.log = Log(folder / "v" / "i-0.log")
        self.bytes = b""
        # (bytes so far, time) at each look.
        self.looks: list[tuple[int, int]] = []
        self.gone = 0
        self.rotated_at = 0

    def write(self, data: bytes) -> None:
        os.write(self.log.descriptor, data)
        self.bytes += data

    def look(self, second: int) -> None:
        fleet_logs.tend([self.log], NOW_S + second)
        if not self.looks or self.looks[-1][0] < len(self.bytes):
            self.looks.append((len(self.bytes), NOW_MS + second * 1000))

    def rotate(self) -> None:
        self.log.rotate()
        # What was rotated away before is gone now.
        self.gone, self.rotated_at = self.rotated_at, len(self.bytes)

    def lines(self) -> list[tuple[str, int]]:
        known = self.bytes[: self.looks[-1][0]] if self.looks else b""
        found, at = [], self.gone
        while (end := known.find(b"\n", at)) >= 0:
            line = known[at:end]
            if line:
                time_ms = next(time_ms for size, time_ms in self.looks if size > end)
                found.append((line.removesuffix(b"\r").decode(errors="replace"), time_ms))
            at = end + 1
        return found

    def stream(self) -> InstanceStream:
        return InstanceStream("v/i-0", self.log.path)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """A log that is closed after the test."""
    written = Written(tmp_path)
    yield written
    written.log.close()


def _read(events: object) -> list[tuple[str, int]]:
    return [(event.message, event.timestamp_ms) for event in events]  # type: ignore[attr-defined]


@settings(max_examples=150)
@given(
    steps=st.lists(st.tuples(_PIECES, st.booleans(), st.sampled_from([0, 0, 0, 1])), max_size=12),
    block=st.sampled_from([1, 7, 64 * 1024]),
    start=st.integers(-1, 6),
    end=st.integers(-1, 13),
)
# A line that began before the window, and ends in it.
@example(steps=[(b"a", True, 0), (b"b\n", True, 0)], block=7, start=1, end=2)
def test_what_was_written_is_read_from_either_end(
    steps: Sequence[tuple[bytes, bool, int]], block: int, start: int, end: int
) -> None:
    """Whatever a container writes, and whenever its file is rotated, the same events come out."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance_stream, "_BLOCK_BYTES", block)
        written = Written(Path(folder))
        for second, (data, is_looked_at, is_rotated) in enumerate(steps):
            written.write(data)
            if is_looked_at or is_rotated:
                written.look(second)
            if is_rotated and written.log.path.stat().st_size:
                written.rotate()
        lines, stream = written.lines(), written.stream()

        assert _read(stream.forward(Window(), None)) == lines
        assert _read(stream.backward(Window(), None)) == lines[::-1]
        window = Window(max(0, NOW_MS + start * 1000), max(0, NOW_MS + end * 1000))
        within = [each for each in lines if window.start_ms <= each[1] < window.end_ms]
        assert _read(stream.forward(window, None)) == within
        assert _read(stream.backward(window, None)) == within[::-1]
        for event in stream.forward(Window(), None):
            before = _read(stream.backward(Window(), event.begin))[::-1]
            behind = _read(stream.forward(Window(), event.end))
            assert [*before, (event.message, event.timestamp_ms), *behind] == lines
        written.log.close()


def test_a_place_outlives_a_rotation(written: Written) -> None:
    """Who follows a log by its tokens sees every line once, also when the file is cut under it."""
    written.write(b"one\ntwo\n")
    written.look(0)
    first = next(written.stream().forward(Window(), None))
    written.rotate()
    written.write(b"three\n")
    written.look(1)

    behind = written.stream().forward(Window(), first.end)
    assert [event.message for event in behind] == ["two", "three"]
    written.rotate()
    written.write(b"four\n")
    written.look(2)
    # What is gone is passed over.
    assert [e.message for e in written.stream().forward(Window(), first.end)] == ["three", "four"]


def test_a_reader_stops_when_the_file_is_rotated_under_it(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of the new file are never taken for lines of the old one."""
    monkeypatch.setattr(instance_stream, "_BLOCK_BYTES", 8)
    written.write(b"".join(b"line %d\n" % number for number in range(100)))
    written.look(0)
    events = written.stream().forward(Window(), None)
    seen = list(islice(events, 3))
    written.rotate()
    written.write(b"another\n" * 100)
    seen += list(events)

    assert [event.message for event in seen] == [f"line {n}" for n in range(len(seen))]
    written.look(1)
    assert next(written.stream().forward(Window(), seen[-1].end)).message == f"line {len(seen)}"


def test_a_huge_line_is_cut_and_says_so(written: Written) -> None:
    """A tensor printed by mistake does not break who reads the log."""
    written.write(b"x" * 3_000_000 + b"\nshort\n")
    written.look(0)
    for events in (
        list(written.stream().forward(Window(), None)),
        list(written.stream().backward(Window(), None))[::-1],
    ):
        assert events[0].message.endswith("x [cut by Windtunnel: the line has 3000000 bytes]")
        assert len(events[0].message) <= limits.LOG_EVENT_BYTES_MAX
        assert events[1].message == "short"


def test_a_clock_that_steps_back_moves_no_line_before_another(written: Written) -> None:
    """Events of a stream are in the order of their times, or windows could not be found."""
    for second, line in ((5, b"a\n"), (1, b"b\n"), (6, b"c\n")):
        written.write(line)
        fleet_logs.tend([written.log], NOW_S + second)
    times = [event.timestamp_ms - NOW_MS for event in written.stream().forward(Window(), None)]

    assert times == [5000, 5000, 6000]


@pytest.mark.parametrize("cut", [0, 5, 16, 20, 31])
def test_a_damaged_index_hides_lines_and_breaks_nothing(written: Written, cut: int) -> None:
    """A disk that was full, or a machine that lost power, leaves half a file."""
    written.write(b"a\n")
    written.look(0)
    index = written.log.path.with_name("i-0.log.index")
    index.write_bytes(index.read_bytes()[:cut])

    assert list(written.stream().forward(Window(), None)) == []
    assert list(written.stream().backward(Window(), None)) == []
    assert written.stream().last_ms is None
