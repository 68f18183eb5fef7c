"""Pages of a listing, against sorting and slicing everything."""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.foundation.s3.listing import Seek, after, beyond, page_of


@dataclass(frozen=True)
class Entry:
    key: str

    @property
    def place(self) -> bytes:
        return self.key.encode()


def seek_in(keys: Sequence[str]) -> "Seek[Entry]":
    places = sorted(key.encode() for key in keys)

    def seek(first: bytes, limit: int) -> list[Entry]:
        start = bisect.bisect_left(places, first)
        return [Entry(place.decode()) for place in places[start : start + limit]]

    return seek


def naive(keys: set[str], prefix: str, delimiter: str) -> list[tuple[str, str]]:
    """List everything: keys and common prefixes, each once, in order."""
    told = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        item = ("key", key) if end < 0 else ("prefix", key[: end + len(delimiter)])
        if item not in told:
            told.append(item)
    return told


# Few letters, so that prefixes are shared; letters of one to four bytes, in no byte order.
KEYS = st.sets(st.text("ab/é😀\uffff", min_size=1, max_size=6), max_size=25)
PREFIXES = st.text("ab/é", max_size=3)
DELIMITERS = st.sampled_from(["", "/", "a", "b/"])


@given(KEYS, PREFIXES, DELIMITERS, st.integers(1, 7))
def test_pages_put_together_are_the_whole_listing(
    keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    """A paginator must see every key once and none twice, whatever the page size."""
    told: list[tuple[str, str]] = []
    first: bytes | None = b""
    while first is not None:
        page = page_of(
            seek_in(list(keys)), prefix=prefix, delimiter=delimiter, first=first, limit=limit
        )
        items = [("key", entry.key) for entry in page.entries]
        items += [("prefix", name) for name in page.prefixes]
        assert len(items) == page.count <= limit
        told += sorted(items, key=lambda item: item[1].encode())
        assert page.next_first is None or page.count == limit
        first = page.next_first

    assert told == naive(keys, prefix, delimiter)


@given(KEYS, PREFIXES, DELIMITERS, st.integers(1, 7))
def test_markers_lead_through_the_whole_listing_too(
    keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    """ListObjects goes on from the last key or common prefix that the client saw."""
    told: list[str] = []
    marker = ""
    while True:
        page = page_of(
            seek_in(list(keys)),
            prefix=prefix,
            delimiter=delimiter,
            first=after(marker.encode()) if marker else b"",
            limit=limit,
            skipped_prefix=marker,
        )
        told += sorted([entry.key for entry in page.entries] + page.prefixes, key=str.encode)
        if page.next_first is None:
            break
        assert told[-1] == page.last
        marker = page.last

    # A key that equals a common prefix's text is the one thing a marker cannot tell apart.
    assert told == [name for _, name in naive(keys, prefix, delimiter)]


def test_a_common_prefix_costs_one_seek_however_many_keys_it_has() -> None:
    """`aws s3 ls` on a bucket of a hundred thousand keys in one folder answers at once."""
    seeks = []
    inner = seek_in([f"logs/{number:06}" for number in range(5000)] + ["z"])

    def seek(first: bytes, limit: int) -> Iterable[Entry]:
        seeks.append(first)
        return inner(first, limit)

    page = page_of(seek, prefix="", delimiter="/", first=b"", limit=1000)

    assert (page.prefixes, [entry.key for entry in page.entries]) == (["logs/"], ["z"])
    assert seeks == [b"", b"logs0", b"z\0"]


@given(st.text(min_size=1), st.text())
def test_nothing_with_a_prefix_lies_beyond_it(prefix: str, rest: str) -> None:
    """A page that jumps over a common prefix must not jump over its neighbour or into it."""
    end = beyond(prefix.encode())

    assert end is not None
    assert (prefix + rest).encode() < end
