"""How often something slow is looked at."""

import itertools
import math
from typing import Literal

import pytest

from windtunnel.lab.patience import pauses_s


@pytest.mark.parametrize(("kind", "looks_max"), [("local", 2400), ("aws", 50)])
def test_ten_minutes_of_waiting_take_no_more_looks_than_they_must(
    kind: Literal["local", "aws"], looks_max: int
) -> None:
    """AWS counts the calls of the whole account; a wait must not use them up for others."""
    waited_s = itertools.accumulate(pauses_s(kind))

    assert (
        sum(1 for _ in itertools.takewhile(lambda total_s: total_s <= 600, waited_s)) <= looks_max
    )


def test_what_is_quick_is_noticed_at_once() -> None:
    """The first look on AWS comes after a second, not after the longest pause."""
    pauses = list(itertools.islice(pauses_s("aws"), 20))

    assert pauses[0] == 1.0
    assert pauses == sorted(pauses)
    assert math.isclose(pauses[-1], 15.0)
