"""What becomes of the router's records, against what SageMaker's page says of each request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, MODEL_LOADING, UNITS
from windtunnel.cloud.cloudwatch.samples import InvocationRecord, Samples, samples_of
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.core import limits

_BASE_S = 1_700_000_040

_RECORDS = st.lists(
    st.tuples(
        st.integers(-200, 800),  # ms after one another
        st.sampled_from(
            [(200, None), (424, 400), (424, 500), (424, None), (400, None), (503, None)]
        ),
        st.integers(0, 5000),  # model, ms
        st.integers(0, 4),  # instances
        st.booleans(),  # reached a container
    ),
    min_size=1,
    max_size=60,
)


def _sample(metric: str, record: InvocationRecord) -> float | None:
    """Return what SageMaker's page says that one request sends to a metric."""
    status = record.status
    if record.is_model_error:
        status = record.model_status or 500
    model_s = record.model_latency_s
    return {
        "Invocations": 1,
        "InvocationsPerInstance": 1 / (record.instance_count or 1),
        "Invocation4XXErrors": float(400 <= status < 500),
        "Invocation5XXErrors": float(status >= 500),
        "InvocationModelErrors": float(record.is_model_error),
        "ModelLatency": None if model_s is None else model_s * 1e6,
        "OverheadLatency": record.overhead_latency_s * 1e6,
    }[metric]


def _made(rows: list[Any]) -> list[InvocationRecord]:
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


_OF_EVERY_REQUEST = sorted(
    set(UNITS[INVOCATIONS]) - {"ConcurrentRequestsPerModel"} - MODEL_LOADING.keys()
)


@given(_RECORDS, st.sampled_from(_OF_EVERY_REQUEST))
def test_every_second_holds_exactly_its_requests(rows: list[Any], metric: str) -> None:
    """Sums, counts, extremes and percentiles are those of the requests themselves."""
    records = _made(rows)
    samples = Samples()
    for record in records:
        samples.record(record)
    found: dict[int, Summary] = {}
    for sample in (each for second in samples.take() for each in samples_of(second)):
        if sample.metric.name == metric:
            assert sample.unit == UNITS[INVOCATIONS][metric]
            assert sample.metric.dimensions == (("EndpointName", "e"), ("VariantName", "v"))
            old = found.get(sample.at_s)
            found[sample.at_s] = sample.summary if old is None else old.plus(sample.summary)

    expected: dict[int, list[float]] = {}
    for record in records:
        value = _sample(metric, record)
        if value is not None:
            expected.setdefault(int(record.ended_s), []).append(value)
    assert found.keys() == expected.keys()
    for at_s, values in expected.items():
        assert found[at_s].count == len(values)
        assert found[at_s].sum == pytest.approx(sum(values))
        assert found[at_s].low == pytest.approx(min(values))
        assert found[at_s].high == pytest.approx(max(values))
        median = sorted(values)[(len(values) - 1) // 2]
        assert found[at_s].quantile(0.5) == pytest.approx(median, rel=1e-3)


def test_what_is_taken_is_not_there_a_second_time() -> None:
    """A request counts once, however often somebody asks."""
    samples = Samples()
    samples.record(InvocationRecord("e", "v", _BASE_S, 200, 0.01, 0.001, 1, False))

    assert len(samples.take()) == 1
    assert samples.take() == []


def test_what_could_not_be_saved_waits_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs for an hour must not fill the memory; the newest seconds are kept."""
    monkeypatch.setattr(limits, "METRIC_UNSAVED_COUNT_MAX", 3)
    samples = Samples()
    for at_s in range(5):
        samples.record(InvocationRecord("e", "v", _BASE_S + at_s, 200, 0.01, 0.001, 1, False))
        samples.give_back(samples.take())

    assert [second.at_s - _BASE_S for second in samples.take()] == [2, 3, 4]


def test_requests_for_one_of_many_models_tell_whether_it_was_there() -> None:
    """The share of cold requests, and what they waited, is what a cache is sized by."""
    samples = Samples()
    for is_hit, waited_s in ((True, None), (True, None), (True, None), (False, 1.5)):
        samples.record(
            InvocationRecord("e", "v", _BASE_S, 200, 0.1, 0.1, 1, False, 200, is_hit, waited_s)
        )
    (second,) = samples.take()
    found = {sample.metric.name: sample.summary for sample in samples_of(second)}

    assert (found["ModelCacheHit"].sum, found["ModelCacheHit"].count) == (3, 4)
    assert (found["ModelLoadingWaitTime"].sum, found["ModelLoadingWaitTime"].count) == (1.5e6, 1)
