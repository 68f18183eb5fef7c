"""Protocol buffers as bytes, for messages too large to be parsed whole.

A request's picture is a megabyte inside a message of a few hundred bytes, a model's signatures a
few hundred bytes inside a graph of megabytes. Both are found here by walking over fields, and what
is small is left to protobuf. Encoding: https://protobuf.dev/programming-guides/encoding/.

Rule: nothing is copied; a payload is a view of the message it was found in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
# A varint has seven bits a byte, and at most 64 of them.
_VARINT_BYTES_MAX = 10


class WireError(ValueError):
    """Bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message, where it stands."""

    number: int
    wire_type: int
    # Without the tag and the length.
    payload: memoryview
    # From the beginning of the message to the beginning and the end of this field.
    begin: int
    end: int


def read_fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in the order they stand in; raise WireError where it is none.

    Groups, which proto3 does not have, are not read.
    """
    begin = 0
    while begin < len(message):
        tag, at = read_varint(message, begin)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == LENGTH:
            size, at = read_varint(message, at)
            end = at + size
        elif wire_type == VARINT:
            _, end = read_varint(message, at)
        elif wire_type in _FIXED_SIZES:
            end = at + _FIXED_SIZES[wire_type]
        else:
            raise WireError(f"wire type {wire_type} at byte {begin}")
        if end > len(message) or number == 0:
            raise WireError(f"field {number} at byte {begin} is cut off")
        yield Field(number, wire_type, message[at:end], begin, end)
        begin = end


def read_entry(entry: memoryview) -> tuple[str, list[memoryview]]:
    """Return the key and the value of a map's entry; a value in pieces is a message in pieces."""
    key, value = "", []
    for field in read_fields(entry):
        if field.number == 1:
            key = bytes(field.payload).decode()
        elif field.number == 2:  # noqa: PLR2004 - a map's entry has a key and a value
            value.append(field.payload)
    return key, value


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = 0
    for index, byte in enumerate(message[at : at + _VARINT_BYTES_MAX]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follow
            return value, at + index + 1
    raise WireError(f"the number at byte {at} does not end")


def write_field(number: int, chunks: Iterable[bytes | memoryview]) -> list[bytes | memoryview]:
    """Return a field with this payload, in chunks."""
    payload = list(chunks)
    size = sum(map(len, payload))
    return [_write_varint(number << 3 | LENGTH) + _write_varint(size), *payload]


def _write_varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
