"""Pages and their tokens, against the whole list."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.paging import page


def _place(item: tuple[float, str]) -> list[float | str]:
    return list(item)


@given(
    items=st.sets(st.tuples(st.floats(0, 10), st.text(max_size=3)), max_size=30),
    size=st.integers(1, 7),
    is_descending=st.booleans(),
)
def test_pages_put_together_are_the_list(
    items: set[tuple[float, str]], size: int, *, is_descending: bool
) -> None:
    """A client that follows the tokens sees everything once, in order."""
    ordered = sorted(items, reverse=is_descending)
    seen: list[tuple[float, str]] = []
    token = None
    while True:
        chosen, token = page(
            ordered, _place, question="q", token=token, size=size, is_descending=is_descending
        )
        seen += chosen
        if token is None:
            break
        assert len(chosen) == size

    assert seen == ordered


def test_what_comes_and_goes_between_pages_moves_nothing_else() -> None:
    """An endpoint must not be skipped because another one was deleted meanwhile."""
    items = [(float(number), "x") for number in range(6)]
    first, token = page(items, _place, question="q", token=None, size=2)
    changed = [items[0], (1.5, "new"), *items[2:]]
    second, _ = page(changed, _place, question="q", token=token, size=2)

    assert first == items[:2]
    assert second == [(1.5, "new"), items[2]]


def _token_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "token",
    ["", "x", "ü", "!!!!", _token_of([]), _token_of({}), _token_of(["x", 5]), _token_of([1, [2]])],
)
def test_a_token_that_was_not_given_out_is_refused(token: str) -> None:
    """Garbage gets AWS's kind of error, never an empty page."""
    with pytest.raises(InvalidError, match="NextToken"):
        page([(1.0, "x")], _place, question="q", token=token, size=1)


def test_a_token_belongs_to_its_question() -> None:
    """The place in a list by name is none in a list by time."""
    items = [(1.0, "x"), (2.0, "y")]
    _, token = page(items, _place, question="by name", token=None, size=1)

    with pytest.raises(InvalidError, match="NextToken"):
        page(items, _place, question="by time", token=token, size=1)
