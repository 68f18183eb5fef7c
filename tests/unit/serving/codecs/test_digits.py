"""Pictures are read by their digits, exactly where and as a JSON parser would read them."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windtunnel.core import limits
from windtunnel.serving.codecs.dense import parse_dense
from windtunnel.serving.codecs.digits import parse_digits
from windtunnel.serving.tensors import TYPES

FLOAT, UINT8 = TYPES["float"], TYPES["uint8"]

numbers = st.integers(0, 120_000)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@st.composite
def pictures(draw: st.DrawFn) -> Any:
    shape = draw(shapes)
    count = int(np.prod(shape))
    values = draw(st.lists(numbers, min_size=count, max_size=count))
    return np.reshape(values, shape).tolist()


def accept(text: bytes) -> Any | None:
    """Return what a parser reads where the fast way may read it: regular and not negative."""
    try:
        value = json.loads(text, parse_float=lambda _: None, parse_constant=lambda _: None)
        found = np.array(value)
    except (ValueError, RecursionError):
        return None
    is_regular = isinstance(value, list) and found.dtype.kind == "i" and found.size > 0
    return found if is_regular and found.min() >= 0 else None


@given(pictures(), st.sampled_from([",", ", "]))
@example([[[0, 10, 100], [99_999, 7, 0]]], ", ")
def test_regular_arrays_are_read_as_they_are(value: Any, comma: str) -> None:
    """Every number of one to five digits, in every shape, in both common spellings."""
    text = json.dumps(value, separators=(comma, ":")).encode()
    found = parse_digits(text, FLOAT)

    if np.max(value) > 99_999:
        assert found is None
    else:
        assert found is not None
        assert found.dtype == np.float32
        assert found.shape == np.shape(value)
        assert found.tolist() == value


@given(st.text(alphabet="[],  0123456789[],12", max_size=30))
@example("[1,2],[3,4]")
@example("[[1,2],3,[4],[5,6]]")
@example("[[1,2],[3],[4,5,6]]")
@example("[[1],[[2]],[3]]")
@example("[[[1],[2]],[[3,4]]]")
@example("[01,2]")
@example("[1 ,2]")
@example("[1, 2,3]")
@example("[1 2,3]")
@example("[1,,2]")
@example("[[1,2]]]")
@example("[[1,2][3,4]]")
@example("[[1,2],[3,4]")
@example("[1]2")
def test_nothing_is_read_that_a_parser_would_not_read_the_same(text: str) -> None:
    """No other parser has looked at the text before, so every misplaced byte must be noticed."""
    found = parse_digits(text.encode(), FLOAT)

    if found is not None:
        expected = accept(text.encode())
        assert expected is not None
        assert found.shape == expected.shape
        assert found.tolist() == expected.tolist()


@given(pictures(), st.data())
def test_one_changed_byte_never_passes_for_what_it_is_not(value: Any, data: st.DataObject) -> None:
    """The nearest neighbours of a valid text are the likeliest to slip through."""
    text = bytearray(json.dumps(value, separators=(",", ":")).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    how = data.draw(st.sampled_from(["replace", "insert", "delete"]))
    byte = data.draw(st.sampled_from(b"[],0 19-."))
    if how == "replace":
        text[place] = byte
    elif how == "insert":
        text.insert(place, byte)
    else:
        del text[place]
    found = parse_digits(bytes(text), FLOAT)

    if found is not None:
        expected = accept(bytes(text))
        assert expected is not None
        assert found.shape == expected.shape
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("text", ["[256]", "[[1,2],[3,300]]"])
def test_numbers_that_the_type_does_not_hold_are_left_to_others(text: str) -> None:
    """300 in a uint8 tensor is an error, and this file answers no errors."""
    assert parse_digits(text.encode(), UINT8) is None


def test_long_pictures_take_this_way_and_look_the_same() -> None:
    """The switch between two readers must not be visible in a tensor."""
    picture = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (1, 128, 128, 3))
    text = json.dumps(picture.tolist()).encode()
    found = parse_dense(text, FLOAT)
    ragged = text.replace(b"], [", b", 1], [", 1)

    assert len(text) > limits.DIGITS_TEXT_BYTES_MIN
    assert found is not None
    assert (found == picture).all()
    assert parse_dense(text[:-1] + b"  ]\n", FLOAT) is not None
    assert parse_dense(ragged, FLOAT) is None
