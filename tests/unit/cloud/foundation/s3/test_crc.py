"""CRCs by tables, against zlib and against the definition."""

import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.foundation.s3 import crc
from windtunnel.cloud.foundation.s3.crc import CRC32, CRC32C, CRC64NVME, Crc, Polynomial, joined


def by_definition(polynomial: Polynomial, data: bytes) -> int:
    """Divide bit by bit, as the catalogue defines it."""
    word = polynomial.mask
    for byte in data:
        word ^= byte
        for _ in range(8):
            word = (word >> 1) ^ polynomial.reflected if word & 1 else word >> 1
    return word ^ polynomial.mask


def computed(polynomial: Polynomial, *pieces: bytes) -> int:
    running = Crc(polynomial)
    for piece in pieces:
        running.update(piece)
    return running.value()


@pytest.mark.parametrize(
    ("polynomial", "value"),
    [(CRC32, 0xCBF43926), (CRC32C, 0xE3069283), (CRC64NVME, 0xAE8B14860A799888)],
)
def test_the_check_values_are_those_of_the_catalogue(polynomial: Polynomial, value: int) -> None:
    """Clients in other languages compute these CRCs with other code; the sums must meet."""
    assert computed(polynomial, b"123456789") == value


@given(
    st.binary(min_size=1, max_size=64),
    st.integers(0, 5 * crc._ROW_BYTES),
    st.lists(st.integers(0, 5 * crc._ROW_BYTES), max_size=4),
)
def test_however_a_body_comes_its_crc_is_zlibs(pattern: bytes, size: int, cuts: list[int]) -> None:
    """A body arrives in pieces of any size, and rows must not show where it was cut."""
    data = (pattern * (size // len(pattern) + 1))[:size]
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]

    assert computed(CRC32, *pieces) == zlib.crc32(data)


@pytest.mark.parametrize("polynomial", [CRC32C, CRC64NVME])
@pytest.mark.parametrize("size", [0, 1, 2 * crc._ROW_BYTES - 1, 2 * crc._ROW_BYTES + 13])
def test_rows_give_what_bits_give(polynomial: Polynomial, size: int) -> None:
    """The fast way must be the same function as the definition, around its edges above all."""
    data = (b"windtunnel" * (size // 10 + 1))[:size]

    assert computed(polynomial, data) == by_definition(polynomial, data)


@given(st.sampled_from([CRC32, CRC32C, CRC64NVME]), st.binary(), st.binary())
def test_two_crcs_join_into_that_of_both_messages(
    polynomial: Polynomial, first: bytes, second: bytes
) -> None:
    """A multipart object's full checksum comes from its parts' own, without reading them again."""
    whole = by_definition(polynomial, first + second)
    parts = (by_definition(polynomial, first), by_definition(polynomial, second))

    assert joined(polynomial, *parts, len(second)) == whole
