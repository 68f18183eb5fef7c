"""What a log stream is to those who read it: events in their order, from either end.

A cursor is a place between two events of one stream; it stays where it is when events are added,
and when old ones go. Rules: reading is lazy, so that whoever reads decides how much; it happens in
a thread.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

# Compared part by part; the parts' meaning is the stream's own.
Cursor = tuple[int, int]

BEGINNING: Cursor = (0, 0)
# A time later than any, and the last that SQLite can write: 292 million years.
TIME_MS_END = (1 << 63) - 1


class Event(NamedTuple):
    """One event, and the cursors before and behind it."""

    begin: Cursor
    end: Cursor
    timestamp_ms: int
    ingestion_ms: int
    message: str


@dataclass(frozen=True)
class Window:
    """The stretch of time that is asked for: from `start_ms` on, before `end_ms`."""

    start_ms: int = 0
    end_ms: int = TIME_MS_END


class Stream(Protocol):
    """One log stream of a group."""

    @property
    def name(self) -> str:
        """The stream's name."""
        ...

    @property
    def created_ms(self) -> int:
        """When it was created."""
        ...

    @property
    def first_ms(self) -> int | None:
        """The time of its first event, as far as is known."""
        ...

    @property
    def last_ms(self) -> int | None:
        """The time of its last event."""
        ...

    @property
    def last_ingestion_ms(self) -> int | None:
        """When its last event came."""
        ...

    @property
    def stored_bytes(self) -> int:
        """How much it holds."""
        ...

    def forward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield events, oldest first, from a cursor on."""
        ...

    def backward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield events, latest first, from a cursor back."""
        ...
