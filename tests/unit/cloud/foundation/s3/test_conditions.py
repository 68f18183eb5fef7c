"""Conditions and ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.foundation.s3 import conditions
from windtunnel.cloud.foundation.s3.answers import http_date
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.records import Object
from windtunnel.cloud.foundation.s3.request import Request

MODIFIED_S = 1_700_000_000.75
OLDER, SAME, NEWER = (http_date(MODIFIED_S + offset_s) for offset_s in (-60, 0, 60))


def object_with(etag: str = "abc") -> Object:
    return Object("b", "k", 1, 10, etag, MODIFIED_S)


def request_with(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request("GET", b"/b/k", named)


# RFC 9110, 13.2.2: a tag decides where there is one, a date only where there is none.
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"if_match": '"abc"'}, None),
        ({"if_match": '"x", "abc"'}, None),
        ({"if_match": "*"}, None),
        ({"if_match": '"x"'}, "PreconditionFailed"),
        ({"if_none_match": '"x"'}, None),
        ({"if_none_match": 'W/"abc"'}, "NotModified"),
        ({"if_none_match": "*"}, "NotModified"),
        ({"if_modified_since": OLDER}, None),
        ({"if_modified_since": SAME}, "NotModified"),
        ({"if_modified_since": NEWER}, "NotModified"),
        ({"if_unmodified_since": OLDER}, "PreconditionFailed"),
        ({"if_unmodified_since": SAME}, None),
        ({"if_match": '"abc"', "if_unmodified_since": OLDER}, None),
        ({"if_none_match": '"x"', "if_modified_since": NEWER}, None),
        ({"if_none_match": '"abc"', "if_modified_since": OLDER}, "NotModified"),
        ({"if_modified_since": "yesterday"}, None),
    ],
)
def test_a_read_is_refused_exactly_when_its_conditions_do_not_hold(
    headers: dict[str, str], code: str | None
) -> None:
    """Caches and sync tools trust these answers with whether to copy at all."""
    if code is None:
        conditions.check_read(request_with(**headers), object_with())
        return
    with pytest.raises(S3Error, match=code):
        conditions.check_read(request_with(**headers), object_with())


@pytest.mark.parametrize(
    ("header", "size", "wanted"),
    [
        (None, 10, None),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=2-4", 10, (2, 3)),
        ("bytes=2-99", 10, (2, 8)),
        ("bytes=-3", 10, (7, 3)),
        ("bytes=-99", 10, (0, 10)),
        ("bytes=9-9", 10, (9, 1)),
        # What cannot be read is ignored, and so are several ranges.
        ("bytes=4-2", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=-", 10, None),
        ("lines=1-2", 10, None),
    ],
)
def test_a_range_means_what_http_says(
    header: str | None, size: int, wanted: tuple[int, int] | None
) -> None:
    """Parallel downloads are put together from ranges: a byte off is a broken archive."""
    assert conditions.range_of(header, size) == wanted


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_outside_is_refused(header: str, size: int) -> None:
    """An empty answer would look like an empty object."""
    with pytest.raises(S3Error, match="InvalidRange"):
        conditions.range_of(header, size)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_a_range_is_what_slicing_gives(first: int, last: int, size: int) -> None:
    """The oracle is Python's own slice."""
    data = bytes(range(size))
    expected = data[first : last + 1] if first <= last else data
    try:
        wanted = conditions.range_of(f"bytes={first}-{last}", size)
    except S3Error:
        assert first >= size
    else:
        start, length = wanted or (0, size)
        assert data[start : start + length] == expected
