"""What is made of measured times; how long anything takes is not asserted."""

import pytest

from windtunnel.compiler.measure import Timing, compare, measure_latency, measure_throughput


def timing(*p50s_s: float) -> Timing:
    return Timing(p50s_s, max(p50s_s), 0.001)


def test_a_ratio_is_that_of_the_medians_over_rounds() -> None:
    """One slow round is the machine's doing, not the form's."""
    baseline, other = timing(0.010, 0.010, 0.010, 0.9), timing(0.005, 0.005, 0.005, 0.005)

    assert compare(baseline, other).value == pytest.approx(2.0)


def test_what_slows_all_contestants_of_a_round_leaves_the_ratio_alone() -> None:
    """Rounds are resampled with all of their contestants, so a busy minute is no uncertainty."""
    loads = [1, 2, 3, 1, 5, 2, 1, 4]

    ratio = compare(
        timing(*(0.010 * each for each in loads)), timing(*(0.004 * each for each in loads))
    )

    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((2.5, 2.5, 2.5))


def test_an_interval_is_wide_where_rounds_disagree_and_the_same_each_time() -> None:
    """Two reports of the same figures say the same."""
    baseline, other = (
        timing(0.010, 0.011, 0.009, 0.010, 0.012),
        timing(0.005, 0.02, 0.004, 0.009, 0.006),
    )

    ratio = compare(baseline, other)

    assert ratio.low < ratio.value < ratio.high
    assert compare(baseline, other) == ratio


def test_all_contestants_run_in_all_rounds() -> None:
    """None is measured while another one was, and the share that is done only grows."""
    runs = {"a": 0, "b": 0}
    shares: list[float] = []

    def count(name: str) -> None:
        runs[name] += 1

    found = measure_latency({"a": lambda: count("a"), "b": lambda: count("b")}, 1e-6, shares.append)

    assert found.keys() == {"a", "b"}
    assert len(found["a"].p50s_s) == len(found["b"].p50s_s) >= 8
    assert min(runs.values()) > len(found["a"].p50s_s)
    assert shares == sorted(shares)
    assert found["a"].p50_s <= found["a"].p90_s
    low, high = found["a"].spread_s
    assert low <= found["a"].p50_s <= high


def test_callers_run_at_once_and_their_failure_is_not_lost() -> None:
    """A form that fails under load must not be measured as a very fast one."""
    assert measure_throughput(lambda: None, 2, 0.01) > 0

    def fail() -> None:
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        measure_throughput(fail, 2, 0.01)
