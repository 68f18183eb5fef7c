"""Durations in classes: what the live view adds up over processes and hosts."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core import limits
from windtunnel.lab.load.histogram import Histogram, merged
from windtunnel.lab.measurement import Floats

# A microsecond to a day: no duration here is shorter or longer.
_DURATIONS = st.lists(st.floats(1e-6, 86_400.0), min_size=1, max_size=200)
_SHARES = st.sampled_from([0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def _of(values_s: list[float]) -> Histogram:
    made = Histogram()
    made.add(np.array(values_s))
    return made


@given(values_s=_DURATIONS, share=_SHARES)
def test_a_percentile_is_right_to_a_thousandth(values_s: list[float], share: float) -> None:
    """Locust rounds to two digits: 147 ms become 150, and an objective of 149 is missed."""
    rank = max(1, int(np.ceil(round(share * len(values_s), 6))))
    exact = sorted(values_s)[rank - 1]

    assert _of(values_s).percentile(share) == pytest.approx(exact, rel=0.001)


@given(parts=st.lists(_DURATIONS, min_size=1, max_size=5))
def test_what_processes_count_adds_up_to_what_one_would_have_counted(
    parts: list[list[float]],
) -> None:
    """The p99 of a run is not the mean of its processes' p99s."""
    whole = merged(_of(part) for part in parts)

    assert whole.counts == _of([value for part in parts for value in part]).counts
    assert whole.count == sum(map(len, parts))


@given(values_s=_DURATIONS)
def test_a_histogram_survives_its_way_between_processes(values_s: list[float]) -> None:
    """It travels once a second from each of them."""
    made = _of(values_s)

    assert Histogram.from_json(json.loads(json.dumps(made.to_json()))).counts == made.counts


def test_of_nothing_there_is_no_percentile() -> None:
    """A second without an answer has no latency, least of all one of 0."""
    empty = Histogram()
    empty.add(np.array([]))

    assert empty.percentile(0.99) is None
    assert empty.count == 0
    assert Histogram.from_json(json.loads(json.dumps(empty.to_json()))).count == 0
    assert merged([]).percentile(0.5) is None


def test_a_duration_of_nothing_is_the_shortest_there_is() -> None:
    """Clocks are coarse: what is measured as 0, or a hair below, must not end the run."""
    assert _of([0.0, -1e-9]).percentile(0.5) == pytest.approx(1e-9, rel=0.001)


def test_the_longest_that_a_process_can_tell_of_a_second_is_read_whole() -> None:
    """A fast endpoint's second is longer than the 64 KiB that asyncio reads of a line."""
    rng = np.random.default_rng(1)
    busy: Floats = rng.lognormal(-4, 1, 8000)
    every: Floats = np.geomspace(1e-6, 60, 200_000)

    assert len(json.dumps(_of(busy.tolist()).to_json())) > 32 * limits.KIB
    assert 2 * len(json.dumps(_of(every.tolist()).to_json())) < limits.LOAD_LINE_BYTES_MAX
