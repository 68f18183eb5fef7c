"""What a client's head says of a body, and of the answer that it wants.

    Content-Type      what the body is, with parameters (a charset says nothing here: JSON is UTF-8)
    Content-Encoding  gzip, or nothing
    Accept            JSON, or arrays: the first type in it that there is; otherwise JSON

An answer is never compressed: at a gigabyte a second of loopback that would only cost.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from windtunnel.core import limits
from windtunnel.serving.codecs.answers import encode_answer
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import Tensors

JSON = b"application/json"
JSON_LINES = b"application/jsonlines"
NPY = b"application/x-npy"
NPZ = b"application/x-npz"
# gzip's framing around deflate (zlib.h, inflateInit2: 16 beside the window's bits).
_GZIP_WINDOW_BITS = 16 + zlib.MAX_WBITS

Answer = tuple[bytes, Sequence[bytes]]


def parse_media(content_type: bytes | None) -> tuple[bytes, dict[str, str]]:
    """Return the type's name in small letters, and its parameters."""
    name, _, rest = (content_type or b"").partition(b";")
    parameters = {}
    for pair in rest.decode("latin-1").split(";"):
        key, _, value = pair.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    return name.strip().lower(), parameters


def unpack_body(body: bytes, content_encoding: bytes | None) -> bytes:
    """Return a body as it was before it was compressed, or refuse to."""
    coding = (content_encoding or b"identity").strip().lower()
    if coding == b"identity" or not coding:
        return body
    if coding not in (b"gzip", b"x-gzip"):
        shown = coding.decode("latin-1")
        raise RequestError(f"Unsupported Content-Encoding: {shown}; gzip is supported.", 415)
    return _unzip(body)


def _unzip(body: bytes) -> bytes:
    most = limits.CONTAINER_BODY_BYTES_MAX
    pieces: list[bytes] = []
    left = most
    try:
        # A gzip file is one compressed member or several, one behind the other.
        while body and len(pieces) < limits.GZIP_MEMBER_COUNT_MAX:
            member = zlib.decompressobj(_GZIP_WINDOW_BITS)
            # A byte more than may be, to see that it is too much.
            pieces.append(member.decompress(body, left + 1))
            left -= len(pieces[-1])
            if left < 0:
                raise RequestError(f"The body is over {most} bytes when it is unpacked.", 413)
            if not member.eof:
                raise RequestError("The body is not whole gzip: it ends too early.")
            body = member.unused_data
    except zlib.error as error:
        raise RequestError(
            f"The body is not gzip, though Content-Encoding says so: {error}"
        ) from None
    if body:
        raise RequestError(f"The body has over {limits.GZIP_MEMBER_COUNT_MAX} gzip members.")
    return b"".join(pieces)


def choose_answer(accept: bytes | None) -> bytes:
    """Return the type that an answer shall have."""
    for part in (accept or b"").split(b","):
        name = part.partition(b";")[0].strip().lower()
        if name in _ENCODERS:
            return name
    return JSON


def encode_as(media: bytes, outputs: Tensors, *, is_row: bool) -> Answer:
    """Return an answer and its type; several arrays are an .npz where .npy was asked for."""
    encode = _ENCODERS[media]
    if encode is None:
        return media, encode_answer(outputs, is_row=is_row)
    if len(outputs) > 1:
        media, encode = NPZ, _encode_npz
    return media, encode({name: _to_array(name, found) for name, found in outputs.items()})


def _to_array(name: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if values.dtype.kind == "O":
        raise RequestError(
            f"The output {name} is strings, which .npy holds as pickles only: accept JSON.", 406
        )
    # numpy's format knows no bfloat16.
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values


def _encode_npy(arrays: Tensors) -> list[bytes]:
    (array,) = arrays.values()
    return _render_npy(array)


def _render_npy(array: npt.NDArray[np.generic]) -> list[bytes]:
    head = io.BytesIO()
    # Of a view in another order numpy would say so in the head; bytes are written in C's.
    whole = np.ascontiguousarray(array).reshape(array.shape)
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(whole))
    return [head.getvalue(), whole.tobytes()]


def _encode_npz(arrays: Tensors) -> list[bytes]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", b"".join(_render_npy(array)))
    return [file.getvalue()]


# None: JSON, whatever its name.
_ENCODERS: dict[bytes, Callable[[Tensors], list[bytes]] | None] = {
    JSON: None,
    JSON_LINES: None,
    NPY: _encode_npy,
    NPZ: _encode_npz,
}
