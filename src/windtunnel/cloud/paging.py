"""Pages of a list, and the opaque tokens that lead from one to the next.

A token holds the place of the last thing on its page, not a number of things: what is created or
deleted between two pages is neither seen twice nor lost. It also holds which question it belongs
to, so that one cannot be used with other filters.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from windtunnel.cloud.errors import InvalidError

T = TypeVar("T")

# Values of one type each, so that any two places of a list can be compared.
Place = list[Any]


def page(
    items: Sequence[T],
    place_of: Callable[[T], Place],
    *,
    question: str,
    token: str | None,
    size: int,
    is_descending: bool = False,
    member: str = "NextToken",
) -> tuple[list[T], str | None]:
    """Return the next `size` of the sorted items, and the token for what is left, if anything is.

    `items` are in the order of their places, falling when `is_descending`. `member` is what the
    service calls the token.
    """
    left = items
    if token is not None:
        last = read_token(token, question, member)
        try:
            left = [
                item
                for item in items
                if (place_of(item) < last if is_descending else place_of(item) > last)
            ]
        except TypeError:
            raise _wrong_token(member) from None
    chosen = list(left[:size])
    if len(left) <= size:
        return chosen, None
    return chosen, write_token(place_of(chosen[-1]), question)


def write_token(place: Place, question: str) -> str:
    """Return the token of a place in the answers to a question."""
    text = json.dumps([_proof(place, question), place])
    return base64.urlsafe_b64encode(text.encode()).decode("ascii")


def read_token(token: str, question: str, member: str = "NextToken") -> Place:
    """Return the place that a token holds; one of another question is refused."""
    try:
        proof, place = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _wrong_token(member) from None
    if not isinstance(place, list) or proof != _proof(place, question):
        raise _wrong_token(member)
    return place


def _proof(place: Place, question: str) -> str:
    return hashlib.sha256(json.dumps([question, place]).encode()).hexdigest()[:16]


def _wrong_token(member: str) -> InvalidError:
    return InvalidError(
        f"The {member} does not belong to this request: take it from the answer before, and ask "
        "with the same filters."
    )
