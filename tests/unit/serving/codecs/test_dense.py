"""The fast reader accepts exactly the regular arrays of numbers, and reads them exactly."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windtunnel.core import limits
from windtunnel.serving.codecs import strict
from windtunnel.serving.codecs.dense import parse_dense
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, TensorSpec

FLOAT, DOUBLE, INT64, UINT64, UINT8 = (
    TYPES[name] for name in ("float", "double", "int64", "uint64", "uint8")
)
# Everything between which raggedness can hide: empty lists, single elements, mixed levels.
RAGGED = (
    "[[1,2],[3],[4,5,6]]",
    "[[1,2],3]",
    "[1,[2]]",
    "[[1],[]]",
    "[[],[1]]",
    "[[[1,2]],[[3],[4]]]",
    "[[1,2],[[3,4]]]",
    "[[[1]],[1]]",
    "[[1,2],[3,4],5,6]",
    "[[[1,2],[3,4]],[[5,6],[7,8,9]]]",
    "[[],[[]]]",
    "[[[]],[]]",
    "[[1,2,3],[4,5],[6,7,8,9]]",
)


def refuse(token: str) -> None:
    raise ValueError(token)


def shape_of(node: Any) -> tuple[int, ...] | None:
    """Return the shape of nested lists, None where children differ."""
    if not isinstance(node, list):
        return ()
    shapes = {shape_of(child) for child in node}
    if len(shapes) > 1 or None in shapes:
        return None
    inner = shapes.pop() if shapes else ()
    return None if inner is None else (len(node), *inner)


def leaves_of(node: Any) -> list[Any]:
    if not isinstance(node, list):
        return [node]
    return [leaf for child in node for leaf in leaves_of(child)]


def oracle(text: bytes, *, is_whole: bool, low: float, high: float) -> Any | None:
    """Return the value of a regular array of numbers as nested lists, by the plainest means."""
    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list) or shape_of(value) is None:
        return None
    kinds = (int,) if is_whole else (int, float)
    is_number = all(type(leaf) in kinds and low <= leaf <= high for leaf in leaves_of(value))
    return value if is_number else None


def is_like(found: npt.NDArray[np.generic], value: Any, dtype: np.dtype[np.generic]) -> bool:
    # Nested lists tell (2, 0) from (2,), numpy's array of them too.
    wanted = np.array(value, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
    return found.dtype == dtype and found.shape == wanted.shape and bool((found == wanted).all())


numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-300, 300),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
nests: st.SearchStrategy[Any] = st.recursive(
    st.one_of(numbers, st.sampled_from([None, True, "a", "[1]", {}])),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@st.composite
def regular(draw: st.DrawFn) -> Any:
    """Arrays that have a shape, dimensions of 0 and 1 among them."""
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))

    def fill(level: int) -> Any:
        return (
            draw(numbers) if level == len(shape) else [fill(level + 1) for _ in range(shape[level])]
        )

    return fill(0)


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def spaced(value: Any) -> bytes:
    return json.dumps(value, indent=1).replace("\n", "\r\n\t").encode()


@pytest.mark.parametrize("text", RAGGED)
@pytest.mark.parametrize("wanted", [FLOAT, INT64], ids=["float", "int64"])
def test_ragged_rows_are_not_flattened(text: str, wanted: Any) -> None:
    """A picture with a short row must be refused, not shifted by one and scored."""
    assert parse_dense(text.encode(), wanted) is None


@given(st.one_of(nests, regular()), st.sampled_from([spaced, compact]))
@example([[1, 2], [3, 4]], compact)
@example([[], []], spaced)
@example([[[]], [[]]], compact)
@example([[1.5]], compact)
def test_floats_are_read_exactly_where_the_oracle_reads_them(
    value: Any, write: Callable[[Any], bytes]
) -> None:
    """Speed may not change a single answer."""
    text = write(value)
    for wanted in (FLOAT, DOUBLE):
        expected = oracle(text, is_whole=False, low=-wanted.whole_max, high=wanted.whole_max)
        found = parse_dense(text, wanted)

        assert (found is None) == (expected is None)
        assert found is None or is_like(found, expected, wanted.dtype)


@given(st.one_of(nests, regular()), st.sampled_from(["int8", "uint8", "int32", "int64", "uint64"]))
@example([[2**53 + 1, -(2**63)]], "int64")
@example([[2**64 - 1, 0]], "uint64")
@example([[256]], "uint8")
@example([[1.0]], "int32")
def test_whole_numbers_are_read_exactly_where_the_oracle_reads_them(value: Any, name: str) -> None:
    """An identifier beyond 2^53 must not lose its last digit on its way into an int64 tensor."""
    wanted = TYPES[name]
    text = json.dumps(value).encode()

    expected = oracle(text, is_whole=True, low=wanted.low, high=wanted.high)
    found = parse_dense(text, wanted)

    assert (found is None) == (expected is None)
    assert found is None or is_like(found, expected, wanted.dtype)


@given(st.text(alphabet='[],-+.eE0123 \n{}"nultrfa:N', max_size=24))
def test_no_scrap_of_text_is_read_as_more_than_it_is(text: str) -> None:
    """The structure is judged after the digits are gone, so near-JSON must not slip through."""
    found = parse_dense(text.encode(), FLOAT)
    expected = oracle(text.encode(), is_whole=False, low=-FLOAT.whole_max, high=FLOAT.whole_max)

    assert (found is None) == (expected is None)


@given(st.one_of(nests, regular()), st.sampled_from(["float", "double", "int16", "uint64"]))
def test_the_fast_and_the_strict_reader_agree(value: Any, name: str) -> None:
    """What one accepts the other accepts with the same numbers: no client sees which it was."""
    wanted = TYPES[name]
    text = json.dumps(value).encode()
    found = parse_dense(text, wanted)
    if found is None:
        return

    parsed = strict.parse_json(text)
    leaves: list[Any] = []
    strict.collect_leaves(parsed, strict.first_shape(parsed), leaves)
    again = strict.convert(
        leaves, strict.first_shape(parsed), TensorSpec("x", wanted, wanted.name, None)
    )

    assert again.dtype == found.dtype
    assert again.shape == found.shape
    assert (again == found).all()


def test_one_odd_element_cannot_ask_for_a_giant_skeleton() -> None:
    """A megabyte of JSON that suggests a shape of 10^10 must cost a megabyte."""
    row = ",".join("1" * 100_000)
    text = f"[[{row}],{row}]".encode()

    assert parse_dense(text, FLOAT) is None


def test_a_parser_is_free_again_after_every_kind_of_text() -> None:
    """Were an old text still alive, each later one would take the slow way unnoticed."""
    for text in (b"[1,2]", b"[1,null]", b"[[1],2]", b"[NaN]", b"{", b"5", b'["a"]', b"[1e999]"):
        parse_dense(text, FLOAT)

        assert parse_dense(b"[[1,2]]", FLOAT) is not None


def test_lists_nest_up_to_the_limit_and_no_deeper() -> None:
    """A thousand brackets are an attack on a stack, not a tensor."""
    depth = limits.TENSOR_JSON_DEPTH_MAX

    assert parse_dense(b"[" * depth + b"1" + b"]" * depth, FLOAT) is not None
    assert parse_dense(b"[" * (depth + 1) + b"1" + b"]" * (depth + 1), FLOAT) is None
    with pytest.raises(RequestError, match="nests 5000 deep"):
        strict.parse_json(b"[" * 5000)


def test_large_texts_leave_no_large_parser_behind() -> None:
    """A parser keeps buffers for the largest text it saw; one giant body must not stay for ever."""
    text = b"[" + b",".join([b"1"] * (limits.PARSER_KEPT_BYTES_MAX // 2 + 1)) + b"]"
    found = parse_dense(text, UINT8)

    assert found is not None
    assert found.shape == (limits.PARSER_KEPT_BYTES_MAX // 2 + 1,)
