"""CRC-32C and CRC-64/NVME, which the standard library does not have, at hundreds of MB/s.

A CRC is the remainder of a polynomial. Write P for the CRC's polynomial of degree w, and cut the
message into rows of the same length, each a vector of w-bit words:

    message = (...(row0 * X + row1) * X + row2 ...)     where X = x^(8 * bytes of a row)

Multiplying every word of a vector by X modulo P is linear over GF(2), so it is a table look-up for
each 16 bits of a word, and numpy does it for a whole row at once. What remains at the end is one
row with the same remainder as the message; that and the tail go byte by byte. Bits are reflected
(a word's lowest bit is its highest power), as in both CRCs.

Measured 2026-11-22 on one core of the two-core machine this was written on: 600 MB/s for CRC-32C,
500 MB/s for CRC-64/NVME; byte by byte in Python it is 15 MB/s.

Rule: pure. Check values (of "123456789") from Greg Cook's catalogue of CRCs: CRC-32/ISCSI
e3069283, CRC-64/NVME ae8b14860a799888.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# A longer row makes numpy's calls dearer and fewer, and the last, slow row longer; 16 KiB is near
# the best of 2 to 64 KiB for bodies of a megabyte and more (measured as above).
_ROW_BYTES = 16 * 1024
_PIECE_BITS = 16


@dataclass(frozen=True)
class Polynomial:
    """A reflected polynomial of degree `width`; start value and final mask are all ones."""

    width: int
    reflected: int

    @property
    def mask(self) -> int:
        """A word of all ones."""
        return (1 << self.width) - 1

    def times(self, one: int, other: int) -> int:
        """Return the product of two words modulo the polynomial."""
        product = 0
        for position in range(self.width - 1, -1, -1):
            if one >> position & 1:
                product ^= other
            other = (other >> 1) ^ self.reflected if other & 1 else other >> 1
        return product

    def power(self, exponent: int) -> int:
        """Return x to the `exponent` modulo the polynomial."""
        return _power(self, exponent)


CRC32 = Polynomial(32, 0xEDB88320)
CRC32C = Polynomial(32, 0x82F63B78)
CRC64NVME = Polynomial(64, 0x9A6C9329AC4BC9B5)


@functools.lru_cache(maxsize=64)
def _power(polynomial: Polynomial, exponent: int) -> int:
    result = 1 << (polynomial.width - 1)
    base = result >> 1
    while exponent:
        if exponent & 1:
            result = polynomial.times(result, base)
        base = polynomial.times(base, base)
        exponent >>= 1
    return result


def joined(polynomial: Polynomial, first: int, second: int, second_bytes: int) -> int:
    """Return the CRC of two messages in a row, from the CRC of each and the second's length."""
    return polynomial.times(polynomial.power(8 * second_bytes), first) ^ second


@functools.cache
def _byte_table(polynomial: Polynomial) -> tuple[int, ...]:
    table = []
    for value in range(256):
        word = value
        for _ in range(8):
            word = (word >> 1) ^ polynomial.reflected if word & 1 else word >> 1
        table.append(word)
    return tuple(table)


@functools.cache
def _row_tables(polynomial: Polynomial) -> "tuple[np.ndarray, ...]":
    """Return, for each 16 bits of a word, the table of what they become a row later."""
    import numpy as np

    word = np.dtype(f"<u{polynomial.width // 8}")
    step = polynomial.power(8 * _ROW_BYTES)
    tables = []
    for low in range(0, polynomial.width, _PIECE_BITS):
        table = np.zeros(1, word)
        for bit in range(low, low + _PIECE_BITS):
            table = np.concatenate((table, table ^ word.type(polynomial.times(1 << bit, step))))
        tables.append(table)
    return tuple(tables)


class Crc:
    """A running CRC."""

    def __init__(self, polynomial: Polynomial) -> None:
        self._polynomial = polynomial
        # Bytes not yet in a whole row, and the row that stands for everything before them.
        self._tail = bytearray()
        self._row: np.ndarray | None = None

    def update(self, data: bytes) -> None:
        """Take the next piece of the message."""
        self._tail += data
        if len(self._tail) >= 2 * _ROW_BYTES:
            self._fold()

    def _fold(self) -> None:
        import numpy as np

        word = np.dtype(f"<u{self._polynomial.width // 8}")
        count = len(self._tail) // _ROW_BYTES
        whole = count * _ROW_BYTES
        rows = np.frombuffer(bytes(self._tail[:whole]), word).reshape(count, -1)
        del self._tail[:whole]
        tables = _row_tables(self._polynomial)
        row = self._row
        for following in rows:
            if row is None:
                row = following.copy()
                # The start value of all ones, added to the first word of the message.
                row[0] ^= word.type(self._polynomial.mask)
                continue
            pieces = row.view("<u2").reshape(row.size, len(tables))
            ahead = tables[0][pieces[:, 0]]
            for position in range(1, len(tables)):
                ahead ^= tables[position][pieces[:, position]]
            row = ahead ^ following
        self._row = row

    def value(self) -> int:
        """Return the CRC of what was taken so far."""
        table = _byte_table(self._polynomial)
        remainder = self._polynomial.mask if self._row is None else 0
        rest = bytes(self._tail) if self._row is None else self._row.tobytes() + self._tail
        for byte in rest:
            remainder = (remainder >> 8) ^ table[(remainder ^ byte) & 0xFF]
        return remainder ^ self._polynomial.mask

    def digest(self) -> bytes:
        """Return the CRC as S3 writes it: the most significant byte first."""
        return self.value().to_bytes(self._polynomial.width // 8, "big")
