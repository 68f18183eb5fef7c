"""What is kept, and for how long."""

import pytest

from windtunnel.cloud.cloudwatch.samples import InvocationRecord, Ring, Samples
from windtunnel.core import limits

_BASE_S = 1_700_000_040


def _record(endpoint_name: str, at_s: float) -> InvocationRecord:
    return InvocationRecord(endpoint_name, "v", at_s, 200, 0.01, 0.001, 1, is_model_error=False)


def test_a_record_can_be_read_at_once() -> None:
    """Metrics can be asked for in the very second in which the requests ran."""
    samples = Samples()
    samples.record(_record("e", _BASE_S + 0.5))
    series = samples.series("e", "v", "Invocations")

    assert series is not None
    assert [bucket.sum for bucket in series.seconds.between(_BASE_S, _BASE_S + 1)] == [1]


def test_a_record_that_comes_late_counts_in_its_own_second() -> None:
    """Requests end on several connections; their records need not come in order."""
    samples = Samples()
    for at_s in (5, 6, 5, 7, 5):
        samples.record(_record("e", _BASE_S + at_s))
    series = samples.series("e", "v", "Invocations")

    assert series is not None
    found = {bucket.start_s - _BASE_S: bucket.sum for bucket in series.seconds.between(0, 2e9)}
    assert found == {5: 3, 6: 1, 7: 1}


def test_what_is_older_than_its_time_is_forgotten() -> None:
    """A cloud that stays up for weeks must not grow."""
    ring = Ring(1, limits.METRIC_SECONDS_KEPT_S)
    for at_s in range(0, 4 * limits.METRIC_SECONDS_KEPT_S, 30):
        ring.add(_BASE_S + at_s, 1, 1, 1, 1)
    kept = list(ring.between(0, 2e9))
    newest_s = kept[-1].start_s

    assert len(ring._chunks) <= limits.METRIC_SECONDS_KEPT_S // 60 + 2
    # What is promised is still there.
    assert sum(newest_s - bucket.start_s < limits.METRIC_SECONDS_KEPT_S for bucket in kept) == (
        limits.METRIC_SECONDS_KEPT_S // 30
    )


def test_the_quietest_variant_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that creates endpoints by the thousand must not fill the memory."""
    monkeypatch.setattr(limits, "METRIC_VARIANT_COUNT_MAX", 2)
    samples = Samples()
    samples.record(_record("old", _BASE_S))
    samples.record(_record("new", _BASE_S + 10))
    samples.record(_record("old", _BASE_S + 20))
    samples.record(_record("newest", _BASE_S + 30))

    assert samples.variants() == [("newest", "v"), ("old", "v")]
