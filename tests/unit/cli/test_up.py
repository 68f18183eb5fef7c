"""What `up` is told, checked before anything starts."""

from collections.abc import Callable
from typing import Any

import pytest

from windtunnel.cli.up import up
from windtunnel.core.errors import UsageError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"startup": "slow"}, "--startup is `instant` or `aws`, not 'slow'"),
        ({"port": 70_000}, "--port 70000"),
        ({"region": "mars"}, "--region mars"),
        ({"payload_limit": 0}, "--payload-limit"),
        ({"warp": 0}, "--warp is one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, not 0"),
        ({"warp": 7}, "--warp is one of"),
        ({"warp": 10, "startup": "aws"}, "--warp goes with --startup instant"),
    ],
)
def test_a_wrong_word_is_refused_by_its_name(words: dict[str, Any], expected: str) -> None:
    """A cloud that quietly takes a typo for the default is measured for an afternoon."""
    command: Callable[..., None] = up
    with pytest.raises(UsageError, match=expected):
        command(**words)
