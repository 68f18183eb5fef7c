"""What heads say: compressed bodies are bounded, and answers come as they were asked for."""

import gzip
import io
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core import limits
from windtunnel.serving.codecs.media import choose_answer, encode_as, parse_media, unpack_body
from windtunnel.serving.errors import RequestError

Array = npt.NDArray[Any]


def encode(accept: bytes, outputs: dict[str, Array]) -> tuple[bytes, bytes]:
    media, chunks = encode_as(choose_answer(accept), outputs, is_row=True)
    return media, b"".join(chunks)


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=3))
def test_a_gzip_body_is_what_it_was_before(pieces: list[bytes]) -> None:
    """One member or several, as gzip files are."""
    body = b"".join(map(gzip.compress, pieces))

    assert unpack_body(body, b"GZIP") == b"".join(pieces)
    assert unpack_body(body, None) is unpack_body(body, b"identity") is body


@pytest.mark.parametrize(
    ("body", "coding", "status", "message"),
    [
        (b"[[1]]", b"gzip", 400, "The body is not gzip, though Content-Encoding says so"),
        (gzip.compress(b"[[1]]", mtime=0)[:-3], b"gzip", 400, "ends too early"),
        (gzip.compress(b"[[1]]", mtime=0) + b"more", b"gzip", 400, "The body is not gzip"),
        (gzip.compress(b"", mtime=0) * 17, b"gzip", 400, "over 16 gzip members"),
        (b"[[1]]", b"br", 415, "Unsupported Content-Encoding: br; gzip is supported."),
    ],
)
def test_bad_compression_is_the_clients_error(
    body: bytes, coding: bytes, status: int, message: str
) -> None:
    """A sentence, not a stack trace."""
    with pytest.raises(RequestError) as caught:
        unpack_body(body, coding)

    assert caught.value.status == status
    assert message in caught.value.message


def test_a_small_body_cannot_become_a_giant_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousandfold compression must not take a thousandfold memory."""
    monkeypatch.setattr(limits, "CONTAINER_BODY_BYTES_MAX", 1000)

    assert len(unpack_body(gzip.compress(bytes(1000)), b"gzip")) == 1000
    for body in (gzip.compress(bytes(1001)), gzip.compress(bytes(501)) * 2):
        with pytest.raises(RequestError, match="over 1000 bytes when it is unpacked") as caught:
            unpack_body(body, b"gzip")
        assert caught.value.status == 413


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, b"application/json"),
        (b"*/*", b"application/json"),
        (b"text/html, */*", b"application/json"),
        (b"application/jsonlines", b"application/jsonlines"),
        (b"Application/X-NPY; q=1", b"application/x-npy"),
        (b"text/html, application/x-npz, application/json", b"application/x-npz"),
        (b"application/json, application/x-npy", b"application/json"),
    ],
)
def test_the_first_type_that_there_is_counts(accept: bytes | None, expected: bytes) -> None:
    """Clients list what they can read, the best first."""
    assert choose_answer(accept) == expected


def test_parameters_of_a_type_are_read_however_they_are_written() -> None:
    """Clients add charsets, quotes and spaces."""
    assert parse_media(b'Text/CSV ; charset="UTF-8";a=b=c;') == (
        b"text/csv",
        {"charset": "UTF-8", "a": "b=c", "": ""},
    )
    assert parse_media(None) == (b"", {"": ""})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        np.arange(6, dtype=np.int64).reshape(2, 3).T,
        np.array(1.5),
        np.zeros((0, 3), np.float16),
    ],
)
def test_an_output_is_the_array_that_numpy_loads(array: Array) -> None:
    """To the bit, in every shape and memory order; no pickle in it."""
    media, body = encode(b"application/x-npy", {"y": array})
    found = np.load(io.BytesIO(body), allow_pickle=False)

    assert media == b"application/x-npy"
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


@pytest.mark.parametrize("accept", [b"application/x-npy", b"application/x-npz"])
def test_several_outputs_are_an_archive_of_arrays(accept: bytes) -> None:
    """An .npy holds one array; numpy.load reads an .npz by the same call."""
    outputs: dict[str, Array] = {"a": np.array([1, 2]), "file": np.array([[0.5]])}
    media, body = encode(accept, outputs)
    found = np.load(io.BytesIO(body), allow_pickle=False)

    assert media == b"application/x-npz"
    assert {name: found[name].tolist() for name in found} == {"a": [1, 2], "file": [[0.5]]}


def test_outputs_that_numpy_has_no_plain_form_for() -> None:
    """bfloat16 is read as the float it is; strings would be a pickle."""
    brief: Array = np.array([0.5, 2]).astype(ml_dtypes.bfloat16)
    _, body = encode(b"application/x-npy", {"y": brief})

    assert np.load(io.BytesIO(body)).tolist() == [0.5, 2]
    with pytest.raises(RequestError, match="The output y is strings") as caught:
        encode(b"application/x-npy", {"y": np.array([b"a"], np.object_)})
    assert caught.value.status == 406
