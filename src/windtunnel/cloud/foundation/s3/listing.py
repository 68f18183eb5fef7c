"""One page of a listing: which entries, which common prefixes, and where the next page begins.

Rule: pure. A page asks `seek(first, limit)` for entries in order, takes as many as it needs, and
never sees a whole bucket: a common prefix costs one seek, however many keys it stands for. Keys are
compared as UTF-8 bytes.
Source: "Listing object keys programmatically" and "Organizing objects using prefixes" in the S3
User Guide.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Keyed(Protocol):
    """What can be listed."""

    @property
    def key(self) -> str:
        """Its key, which prefixes and delimiters are about."""

    @property
    def place(self) -> bytes:
        """Its place in the order, which begins with its key."""


Entry = TypeVar("Entry", bound=Keyed)
Seek = Callable[[bytes, int], Iterable[Entry]]


@dataclass
class Page(Generic[Entry]):
    """What one request lists."""

    entries: list[Entry] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    # Where the next page begins, when this one is not the last: all places below were dealt with.
    next_first: bytes | None = None
    # The last key or common prefix of this page.
    last: str = ""

    @property
    def count(self) -> int:
        """Entries and common prefixes together."""
        return len(self.entries) + len(self.prefixes)


def beyond(prefix: bytes) -> bytes | None:
    """Return the first possible key after all keys with a prefix, None if there is none."""
    # 0xFF is in no UTF-8 text, so a key's last byte can always be raised by one.
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def after(key: bytes) -> bytes:
    """Return the first possible place after a key, or after a place."""
    return key + b"\0"


def page_of(
    seek: Seek[Entry],
    *,
    prefix: str,
    delimiter: str,
    first: bytes,
    limit: int,
    skipped_prefix: str = "",
) -> Page[Entry]:
    """Return the entries with `prefix` from `first` on, rolled up at `delimiter`.

    A common prefix that `skipped_prefix` lies in is left out: it was on an earlier page.
    """
    page: Page[Entry] = Page()
    within = prefix.encode()
    position = max(first, within)
    end = beyond(within)
    while True:
        if end is not None and position >= end:
            return page
        is_end = True
        # One more than fits tells whether there is another page.
        for entry in seek(position, limit - page.count + 1):
            is_end = False
            if not entry.place.startswith(within):
                return page
            rolled = _rolled_up(entry.key, prefix, delimiter)
            is_known = rolled is not None and skipped_prefix.startswith(rolled)
            if page.count == limit and not is_known:
                page.next_first = entry.place
                return page
            if rolled is not None:
                if not is_known:
                    page.prefixes.append(rolled)
                    page.last = rolled
                following = beyond(rolled.encode())
                assert following is not None
                position = following
                break
            page.entries.append(entry)
            page.last = entry.key
            position = after(entry.place)
        if is_end:
            return page


def _rolled_up(key: str, prefix: str, delimiter: str) -> str | None:
    """Return the common prefix that a key is listed under, None when it is listed itself."""
    if not delimiter:
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]
