r"""The regular expressions of AWS's models, as Python's.

AWS writes them for Java and asks for a match of the whole value (`a_b` breaks
`[a-zA-Z0-9](-*[a-zA-Z0-9])*`, although its first letter would match). What Python spells
otherwise is translated here: `\p{L}` and its kin, surrogate pairs, `\z`.
"""

import re
import unicodedata
from functools import cache

# The last assigned character below the private planes is U+323AF (Unicode 16); behind them come
# only the tags and variation selectors of U+E0000..U+E01EF, which are none of the categories here.
_ASSIGNED_END = 0x32400
_SURROGATE_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_POSIX_CLASSES = {
    "ASCII": r"\x00-\x7F",
    "Print": r"\x20-\x7E",
    "Graph": r"\x21-\x7E",
    "Alnum": "0-9A-Za-z",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
}


@cache
def compile_pattern(java: str) -> re.Pattern[str] | None:
    """Return the pattern to match whole values with, None where AWS's cannot be expressed."""
    try:
        # Java's \d, \s and \w are ASCII's.
        return re.compile(translate(java), re.ASCII)
    except re.error:
        # botocore has two that no engine reads as meant: `(...)${1,128}`.
        return None


def translate(java: str) -> str:
    """Return a Java regular expression in Python's spelling."""
    java = _SURROGATE_PAIR.sub(_joined_surrogates, java)
    written: list[str] = []
    is_in_class = False
    at = 0
    while at < len(java):
        character = java[at]
        if character == "\\":
            piece, at = _escape(java, at, is_in_class=is_in_class)
            written.append(piece)
            continue
        if character == "[" and not is_in_class:
            is_in_class = True
        elif character == "]":
            is_in_class = False
        elif is_in_class and (character == "[" or java[at : at + 2] in ("--", "&&", "~~", "||")):
            # Python keeps these for set operations that it does not have yet.
            character = "\\" + character
        written.append(character)
        at += 1
    return "".join(written)


def _escape(java: str, at: int, *, is_in_class: bool) -> tuple[str, int]:
    following = java[at + 1 : at + 2]
    if following == "p" and java[at + 2 : at + 3] == "{":
        end = java.index("}", at)
        characters = _class_of(java[at + 3 : end])
        return (characters if is_in_class else f"[{characters}]"), end + 1
    if following == "z":
        return r"\Z", at + 2
    return java[at : at + 2], at + 2


def _class_of(name: str) -> str:
    return _POSIX_CLASSES.get(name) or _unicode_classes().get(name) or f"(?P<unknown {name}>"


@cache
def _unicode_classes() -> dict[str, str]:
    """Return the ranges of each general category (`Zs`) and group of categories (`Z`)."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    start, current = 0, unicodedata.category("\0")
    for point in range(1, _ASSIGNED_END + 1):
        category = unicodedata.category(chr(point))
        if category == current:
            continue
        for name in (current, current[0]):
            ranges.setdefault(name, []).append((start, point - 1))
        start, current = point, category
    return {
        name: "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)
        for name, found in ranges.items()
    }


def _joined_surrogates(match: re.Match[str]) -> str:
    high, low = int(match[1], 16), int(match[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"
