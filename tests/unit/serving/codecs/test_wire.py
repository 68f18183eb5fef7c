"""Fields are found in bytes as protobuf writes them."""

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.serving.codecs.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    WireError,
    read_entry,
    read_fields,
    write_field,
)


def fields(data: bytes) -> list[tuple[int, int, bytes]]:
    return [(f.number, f.wire_type, bytes(f.payload)) for f in read_fields(memoryview(data))]


@given(st.binary(max_size=300), st.integers(1, 2**29 - 1))
def test_what_is_written_is_read_back(payload: bytes, number: int) -> None:
    """Lengths beyond 127 take two bytes, numbers of fields up to five."""
    data = b"".join(write_field(number, [payload, b"!"]))

    assert fields(data + data) == [(number, LENGTH, payload + b"!")] * 2


@given(st.binary(max_size=300))
def test_protobuf_writes_the_same(payload: bytes) -> None:
    """The encoding is protobuf's own."""
    expected = wrappers_pb2.BytesValue(value=payload).SerializeToString()

    assert b"".join(write_field(1, [payload] if payload else [])) == (expected or b"\n\0")


def test_every_type_is_passed_over_by_its_size() -> None:
    """A walk that lost its step would read a picture as fields."""
    data = b"".join(
        (
            wrappers_pb2.UInt64Value(value=2**64 - 1).SerializeToString(),
            wrappers_pb2.DoubleValue(value=1.5).SerializeToString(),
            wrappers_pb2.FloatValue(value=1.5).SerializeToString(),
            wrappers_pb2.StringValue(value="s").SerializeToString(),
        )
    )

    assert [found[:2] for found in fields(data)] == [
        (1, VARINT),
        (1, FIXED64),
        (1, FIXED32),
        (1, LENGTH),
    ]


def test_fields_say_where_they_stand() -> None:
    """So that what is not read by hand can be given to protobuf as it is."""
    data = b"".join((*write_field(1, [b"ab"]), *write_field(2, [b"c"])))

    assert [(f.begin, f.end) for f in read_fields(memoryview(data))] == [(0, 4), (4, 7)]


def test_a_map_is_entries_of_key_and_value() -> None:
    """A value may come in pieces, which are one message together."""
    entry = b"".join(
        (*write_field(2, [b"v1"]), *write_field(1, [b"key"]), *write_field(2, [b"v2"]))
    )
    key, pieces = read_entry(memoryview(entry))

    assert (key, b"".join(pieces)) == ("key", b"v1v2")


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05ab", b"\x0b", b"\x80" * 11, b"\x0d\x00", b"\x02\x00", b"\x08"]
)
def test_what_is_no_message_is_said(data: bytes) -> None:
    """A cut-off request must not be taken for a smaller one."""
    with pytest.raises(WireError):
        fields(data)
