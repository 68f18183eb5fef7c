"""AWS's regular expressions in Python."""

import re
import sys
import unicodedata
import warnings

import pytest

from windtunnel.cloud.gateway import patterns
from windtunnel.cloud.gateway.shapes import load_service


@pytest.mark.parametrize(
    ("java", "good", "bad"),
    [
        (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", ["a", "a-b", "a--b9"], ["", "a_b", "-a", "a-"]),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", ["", "é 中\u2028Ⅷ_", "a@b"], ["a|b", "a\tb", "€"]),
        (r"\p{ASCII}*", ["", "a\x00\x7f"], ["é"]),
        (r"\A\S[\p{Print}]*\z", ["a b"], [" a", "a\n", "aé"]),
        (
            "[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\t]*",
            ["a😀\t", "\ufffd"],
            ["\x00", "\n", "\uffff"],
        ),
        (r"[[&&]+", ["[&"], ["a"]),
        (r"\d{2}", ["12"], ["1٣"]),
    ],
)
def test_a_java_pattern_means_the_same_in_python(
    java: str, good: list[str], bad: list[str]
) -> None:
    """A tag or name that AWS takes is taken here, and the other way round."""
    pattern = patterns.compile_pattern(java)

    assert pattern is not None
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []


@pytest.mark.slow
def test_every_pattern_of_the_served_services_can_be_checked_but_two() -> None:
    """A pattern that is not understood would silently let everything pass."""
    unknown = set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for service in ("sagemaker", "sagemaker-runtime", "sts", "cloudwatch"):
            model = load_service(service)
            for name in model.shape_names:
                java = model.shape(name).pattern
                if java is not None and patterns.compile_pattern(java) is None:
                    unknown.add(name)

    assert unknown == {"CustomerMetadataKey", "CustomerMetadataValue"}


@pytest.mark.slow
@pytest.mark.parametrize("category", ["L", "Z", "N"])
def test_unicode_categories_are_whole(category: str) -> None:
    """Held against the Unicode database itself, every character of it."""
    pattern = re.compile(f"[{patterns._unicode_classes()[category]}]")
    differing = [
        point
        for point in range(sys.maxunicode + 1)
        if bool(pattern.match(chr(point))) != unicodedata.category(chr(point)).startswith(category)
    ]
    # The variation selectors far above are marks; nobody puts them in a name.
    assert [point for point in differing if not 0xE0100 <= point <= 0xE01EF] == []
