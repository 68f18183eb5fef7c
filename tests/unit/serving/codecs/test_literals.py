"""NaN and Infinity among numbers are read fast, and exactly as the strict reader reads them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windtunnel.serving.codecs import strict
from windtunnel.serving.codecs.dense import parse_dense
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, TensorSpec

FLOAT = TYPES["float"]
SPEC = TensorSpec("x", FLOAT, "float", None)
TOKENS = ["NaN", "-NaN", "Inf", "-Inf", "Infinity", "-Infinity"]
# Greater ones are left to the strict reader, which sees whether they had a point.
numbers = st.floats(-FLOAT.whole_max, FLOAT.whole_max, width=32)
rows = st.lists(st.one_of(st.sampled_from(TOKENS), numbers.map(repr)), min_size=2, max_size=2)


def read_strictly(text: str) -> Any:
    """Return what the slow reader makes of an array, None where it refuses."""
    try:
        value = strict.parse_json(text.encode())
        shape = strict.first_shape(value)
        leaves: list[Any] = []
        strict.collect_leaves(value, shape, leaves)
        return strict.convert(leaves, shape, SPEC)
    except RequestError:
        return None


@given(st.lists(rows, min_size=1), st.sampled_from([",", " ,\n"]))
@example([["NaN", "-Infinity"], ["1.5", "Inf"]], ",")
def test_every_token_of_rapidjson_is_read_where_it_stands(table: Any, comma: str) -> None:
    """A sensor's gaps are NaN; one in the wrong place would be a wrong measurement."""
    text = "[" + comma.join(f"[{comma.join(row)}]" for row in table) + "]"
    found = parse_dense(text.encode(), FLOAT)

    assert found is not None
    assert np.array_equal(found, read_strictly(text), equal_nan=True)


@given(st.text(alphabet="[],-+ 01.eNaInfity", max_size=16).map(lambda text: f"[{text}]"))
@example("[5NaN]")
@example("[NaN5]")
@example("[1 NaN]")
@example("[--NaN]")
@example("[-]NaN]")
@example("[+Inf]")
@example("[Infini]")
@example("[nan]")
@example("[[],NaN]")
@example("[NaN,[1]]")
def test_nothing_that_only_looks_like_a_token_is_read(text: str) -> None:
    """Covering a token must not turn nonsense into a number."""
    found = parse_dense(text.encode(), FLOAT)

    if found is not None:
        assert np.array_equal(found, read_strictly(text), equal_nan=True)


@pytest.mark.parametrize("token", TOKENS)
def test_the_strict_reader_takes_the_same_tokens(token: str) -> None:
    """What TensorFlow Serving takes may not depend on what else a request brings."""
    found = strict.parse_json(b'{"a": ["Inf -NaN", %s]}' % token.encode())["a"]

    assert found[0] == "Inf -NaN"
    assert repr(found[1]) == repr(float(token.replace("-NaN", "NaN")))


def test_whole_number_tensors_take_none() -> None:
    """There is no NaN among integers."""
    assert parse_dense(b"[1,NaN]", TYPES["int32"]) is None
