"""The tokens that lead from one page of events to the next, and the ids of events.

GetLogEvents' look like AWS's (`f/…56 digits…/s`) and hold a cursor; they may be used with another
time range, as there. FilterLogEvents' hold a place and the question it belongs to.
"""

import hashlib
import re

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.logs.events import Cursor, Event
from windtunnel.cloud.logs.search import Place
from windtunnel.cloud.paging import read_token, write_token

_STREAM_TOKEN = re.compile(r"([fb])/(\d{28})(\d{28})/s", re.ASCII)
_SQLITE_END = 1 << 63


def stream_token(cursor: Cursor, *, is_forward: bool) -> str:
    """Return the token of a cursor and a direction."""
    return f"{'f' if is_forward else 'b'}/{cursor[0]:028d}{cursor[1]:028d}/s"


def read_stream_token(token: str) -> tuple[bool, Cursor]:
    """Return whether a token leads forward, and from where."""
    found = _STREAM_TOKEN.fullmatch(token)
    if found is None:
        raise _invalid()
    cursor = int(found[2]), int(found[3])
    if max(cursor) >= _SQLITE_END:
        raise _invalid()
    return found[1] == "f", cursor


def search_token(place: Place, question: str) -> str:
    """Return the token of a place in a search."""
    return write_token([place.timestamp_ms, place.stream_name, *place.cursor], question)


def read_search_token(token: str, question: str) -> Place:
    """Return the place that a token holds; its proof says that it is one of ours."""
    timestamp_ms, stream_name, *cursor = read_token(token, question, "nextToken")
    return Place(timestamp_ms, stream_name, (cursor[0], cursor[1]))


def event_id(stream_name: str, event: Event) -> str:
    """Return an event's id: 56 digits, as AWS's, the same each time it is asked for."""
    stream = int.from_bytes(hashlib.sha256(stream_name.encode()).digest()[:5], "big")
    place = event.begin[0] if event.begin[1] == 0 else event.begin[1]
    return f"{event.timestamp_ms:020d}{stream:016d}{place:020d}"


def _invalid() -> InvalidError:
    return InvalidError("The specified nextToken is invalid.")
