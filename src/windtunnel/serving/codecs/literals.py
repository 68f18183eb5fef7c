"""NaN and Infinity among numbers: tokens that TensorFlow Serving takes, though they are not JSON.

Its parser takes `NaN`, `Inf` and `Infinity`, each with or without a minus (RapidJSON's ParseNumber
with kParseNanAndInfFlag), and nothing else: no plus, no small letters. A parser of JSON reads none
of them. So each is covered with a 0 and white space, which changes no other byte's place, and laid
over the numbers again after parsing.

Rule: what is covered was one of these tokens, with nothing before it that could be part of a
number; whatever else is wrong with a text stays in it for the parser to find.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
_COMMA, _MINUS, _SPACE, _ZERO, _A, _F = b",- 0af"
_BEFORE = np.zeros(256, np.bool_)
_BEFORE[list(b"[, \t\r\n")] = True


@dataclass(frozen=True, slots=True)
class Cover:
    """A text with zeros in the places of tokens, and what belongs there."""

    text: bytes
    # Counted in numbers from the start, as long as no list is empty.
    places: npt.NDArray[np.intp]
    values: npt.NDArray[np.float64]


def cover_literals(text: bytes) -> Cover | None:
    """Return the text without its tokens; None where there are none, or what looks like them."""
    found = np.frombuffer(text, np.uint8)
    # Each token has just one of these letters, in the middle, and numbers have neither.
    if b"N" not in text and b"I" not in text:
        return None
    nans, infinities = np.flatnonzero(found == _A), np.flatnonzero(found == _F)
    if not nans.size + infinities.size:
        return None
    covered = found.copy()
    is_long = _reads(found, infinities, 1, b"inity")
    tokens = (
        (nans, -1, b"NaN", np.nan),
        (infinities[is_long], -2, b"Infinity", np.inf),
        (infinities[~is_long], -2, b"Inf", np.inf),
    )
    starts, values = [], []
    for letters, offset, token, value in tokens:
        if not _reads(found, letters, offset, token).all():
            return None
        is_minus = found.take(letters + (offset - 1), mode="clip") == _MINUS
        start = letters + offset - is_minus
        if not _BEFORE[found.take(start - 1, mode="clip")].all():
            return None
        for step in range(len(token)):
            covered[letters + (offset + step)] = _SPACE
        covered[start] = _ZERO
        starts.append(start)
        values.append(np.where(is_minus, -value, value))
    commas = np.flatnonzero(found == _COMMA)
    places = np.searchsorted(commas, np.concatenate(starts))
    return Cover(covered.tobytes(), places, np.concatenate(values))


def _reads(
    text: Bytes, places: npt.NDArray[np.intp], offset: int, token: bytes
) -> npt.NDArray[np.bool_]:
    """Say for each place whether a token stands so far from it."""
    is_so = np.ones(places.size, np.bool_)
    for step, byte in enumerate(token):
        at = places + (offset + step)
        is_so &= (at >= 0) & (at < text.size) & (text.take(at, mode="clip") == byte)
    return is_so
