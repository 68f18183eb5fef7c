"""Windows and what they hold, against a sum over every single record."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.cloud.cloudwatch.samples import InvocationRecord, Samples
from windtunnel.cloud.cloudwatch.statistics import datapoints, is_period, rounded_start_s

_BASE_S = 1_700_000_040  # a whole minute
_DAY_S = 24 * 3600


@pytest.mark.parametrize("period_s", [1, 5, 10, 20, 30, 60, 120, 3600])
def test_periods_that_cloudwatch_knows(period_s: int) -> None:
    """They are listed on GetMetricStatistics' page."""
    assert is_period(period_s)


@pytest.mark.parametrize("period_s", [-60, 0, 2, 15, 59, 61, 90])
def test_periods_that_cloudwatch_refuses(period_s: int) -> None:
    """A period of 15 s would not divide a minute as users expect."""
    assert not is_period(period_s)


@pytest.mark.parametrize(
    ("offset_s", "period_s", "age_s", "expected_s"),
    [
        (34.5, 60, 0, 0),  # 12:32:34 is rounded down to 12:32:00
        (34.5, 300, 0, 0),  # to the minute, whatever the period
        (63.0, 300, 0, 60),
        (34.5, 1, 0, 34),
        (34.5, 10, 0, 30),
        (34.5, 20, 0, 20),
        (299.0, 60, 20 * _DAY_S, 0),  # between 15 and 63 days: five minutes
        (3599.0, 60, 80 * _DAY_S, 0),  # over 63 days: an hour
    ],
)
def test_the_start_is_rounded_as_cloudwatch_says(
    offset_s: float, period_s: int, age_s: float, expected_s: int
) -> None:
    """Windows of two questions a second apart must be the same windows."""
    hour_s = _BASE_S - _BASE_S % 3600
    start_s = hour_s + offset_s

    assert rounded_start_s(start_s, period_s, start_s + age_s) == hour_s + expected_s


_RECORDS = st.lists(
    st.tuples(
        st.integers(0, 400),  # ms after one another
        st.sampled_from(
            [(200, None), (424, 400), (424, 500), (424, None), (400, None), (503, None)]
        ),
        st.integers(0, 5000),  # model, ms
        st.integers(1, 4),  # instances
        st.booleans(),  # reached a container
    ),
    min_size=1,
    max_size=150,
)


def _sample(metric: str, record: InvocationRecord) -> float | None:
    """Return what SageMaker's page says that one request sends to a metric."""
    status = record.status
    if record.is_model_error:
        status = record.model_status or 500
    model_s = record.model_latency_s
    return {
        "Invocations": 1,
        "InvocationsPerInstance": 1 / record.instance_count,
        "Invocation4XXErrors": float(400 <= status < 500),
        "Invocation5XXErrors": float(status >= 500),
        "InvocationModelErrors": float(record.is_model_error),
        "ModelLatency": None if model_s is None else model_s * 1e6,
        "OverheadLatency": record.overhead_latency_s * 1e6,
    }[metric]


def _made(rows: list[tuple[int, tuple[int, int | None], int, int, bool]]) -> list[InvocationRecord]:
    at_ms, records = 0, []
    for gap_ms, (status, model_status), model_ms, instances, reached in rows:
        at_ms += gap_ms
        records.append(
            InvocationRecord(
                "e",
                "v",
                _BASE_S + at_ms / 1000,
                status,
                model_ms / 1000 if reached else None,
                model_ms / 3000,
                instances,
                status == 424,
                model_status,
            )
        )
    return records


@pytest.mark.slow
@settings(deadline=None)
@given(
    _RECORDS,
    st.sampled_from(
        [
            "Invocations",
            "InvocationsPerInstance",
            "Invocation4XXErrors",
            "Invocation5XXErrors",
            "InvocationModelErrors",
            "ModelLatency",
            "OverheadLatency",
        ]
    ),
    st.sampled_from([1, 5, 10, 60, 120]),
    st.integers(0, 3),
    st.integers(1, 70),
)
def test_every_window_holds_exactly_its_samples(
    rows: list[Any], metric: str, period_s: int, start_minute: int, length: int
) -> None:
    """Sum, count, minimum and maximum are what one gets from the records themselves."""
    records = _made(rows)
    samples = Samples()
    for record in records:
        samples.record(record)
    start_s = _BASE_S + 60 * (start_minute - 1)
    end_s = start_s + length * period_s
    series = samples.series("e", "v", metric)
    assert series is not None
    ring = series.minutes if period_s % 60 == 0 else series.seconds
    points = datapoints(ring.between(start_s, end_s), start_s, period_s)

    expected: dict[int, list[float]] = {}
    for record in records:
        value = _sample(metric, record)
        window = int((record.ended_s - start_s) // period_s)
        if value is not None and 0 <= window < length:
            expected.setdefault(start_s + window * period_s, []).append(value)
    assert [point.timestamp_s for point in points] == sorted(expected)
    for point in points:
        values = expected[int(point.timestamp_s)]
        assert point.sample_count == len(values)
        assert point.sum == pytest.approx(sum(values))
        assert point.average == pytest.approx(sum(values) / len(values))
        assert point.minimum == pytest.approx(min(values))
        assert point.maximum == pytest.approx(max(values))
