"""A search over streams: whole, in order, and a page at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.logs.catalog import ShownStream
from windtunnel.cloud.logs.events import Cursor, Event, Window
from windtunnel.cloud.logs.filter_patterns import compile_filter
from windtunnel.cloud.logs.search import Place, search
from windtunnel.core import limits

ALL = compile_filter("")


@dataclass
class Listed:
    """A stream out of a list of (time, message)."""

    name: str
    events: list[tuple[int, str]]
    created_ms: int = 0
    last_ms: int | None = None
    last_ingestion_ms: int | None = None
    stored_bytes: int = 0

    @property
    def first_ms(self) -> int | None:
        return min((time_ms for time_ms, _ in self.events), default=None)

    def forward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        for number, (time_ms, message) in enumerate(self.events):
            if (cursor is None or (number, 0) >= cursor) and (
                window.start_ms <= time_ms < window.end_ms
            ):
                yield Event((number, 0), (number + 1, 0), time_ms, time_ms, message)

    def backward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        yield from list(self.forward(window, cursor))[::-1]


def _streams(times: list[list[int]]) -> list[ShownStream]:
    return [
        ShownStream(
            Listed(
                name, [(t, f"{name}{n} {'odd' if t % 2 else 'even'}") for n, t in enumerate(ts)]
            ),
            0,
        )
        for name, ts in zip("abcd", map(sorted, times), strict=False)
    ]


@given(
    times=st.lists(st.lists(st.integers(1, 6), max_size=8), max_size=4),
    count=st.integers(1, 5),
    pattern=st.sampled_from(["", "odd"]),
)
def test_pages_put_together_are_the_whole(times: list[list[int]], count: int, pattern: str) -> None:
    """Many lines have the same moment: none may be lost between two pages, or come twice."""
    streams, wanted = _streams(times), compile_filter(pattern)
    everything = sorted(
        (event.timestamp_ms, stream.name, event.begin, event.message)
        for stream in streams
        for event in stream.forward(Window(), None)
        if not pattern or pattern in event.message
    )
    found: list[str] = []
    place: Place | None = None
    for _ in range(100):
        page, place = search(streams, Window(), wanted, place, count)
        assert len(page) <= count
        found += [event.message for _, event in page]
        if place is None:
            break

    assert place is None
    assert found == [message for *_, message in everything]


def test_a_search_that_finds_nothing_is_bounded_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rare word in gigabytes must not hold the cloud up: AWS, too, answers empty pages."""
    monkeypatch.setattr(limits, "LOG_SEARCH_BYTES_MAX", 100)
    streams = _streams([[1] * 50])
    pages = 0
    place: Place | None = None
    for _ in range(100):
        page, place = search(streams, Window(), compile_filter("nowhere"), place, 10)
        pages += 1
        assert page == []
        if place is None:
            break

    assert place is None
    assert pages > 10


def test_a_page_holds_no_more_bytes_than_awss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients have buffers for a megabyte."""
    monkeypatch.setattr(limits, "LOG_PAGE_BYTES_MAX", 80)
    page, place = search(_streams([[1, 2, 3, 4]]), Window(), ALL, None, 10)

    assert len(page) == 2
    assert place is not None
    rest, place = search(_streams([[1, 2, 3, 4]]), Window(), ALL, place, 10)
    assert [event.timestamp_ms for _, event in rest] == [3, 4]
