"""What the cloud tells Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from windtunnel.cloud.cloudwatch.samples import InvocationRecord, Samples
from windtunnel.cloud.cloudwatch.totals import Totals
from windtunnel.cloud.exposition import merge
from windtunnel.core import limits

CONTAINER = """\
# HELP a_total What a counts, {really}.
# TYPE a_total counter
a_total{process="front",status="200"} 1.0
# HELP b What b is.
# TYPE b gauge
b{process="front"} 2.0
"""


def _record(status: int, endpoint: str = "e", model_s: float | None = 0.02) -> InvocationRecord:
    return InvocationRecord(endpoint, "v", 1000.0, status, model_s, 0.0002, 1, status == 424)


def test_containers_are_told_apart_by_labels() -> None:
    """Two instances count the same things; a family that stood there twice would be refused."""
    text = merge({'instance="i-1",': CONTAINER, 'instance="i-2",': CONTAINER})
    families = {family.name: family for family in text_string_to_metric_families(text)}

    assert text.count("# TYPE a_total counter") == 1
    assert text.count("# HELP a_total") == 1
    assert [sample.labels["instance"] for sample in families["a"].samples] == ["i-1", "i-2"]
    assert families["b"].samples[0].labels == {"instance": "i-1", "process": "front"}


def test_seconds_are_counted_once_also_when_the_disk_was_full() -> None:
    """What CloudWatch could not save comes again, and was counted already."""
    samples, totals = Samples(), Totals()
    for status in (200, 200, 424, 200, 503):
        samples.record(_record(status, model_s=None if status == 503 else 0.02))
    taken = samples.take()
    totals.add(second for second in taken if not second.was_given_back)
    samples.give_back(taken)
    samples.record(_record(200))
    totals.add(second for second in samples.take() if not second.was_given_back)
    found = {
        (sample.name, sample.labels.get("status") or sample.labels.get("le")): sample.value
        for family in totals.families()
        for sample in family.samples
    }

    assert found["windtunnel_invocations_total", "200"] == 4
    assert found["windtunnel_invocations_total", "424"] == 1
    assert found["windtunnel_invocations_total", "503"] == 1
    assert found["windtunnel_model_latency_seconds_bucket", "0.01"] == 0
    assert found["windtunnel_model_latency_seconds_bucket", "0.025"] == 5
    assert found["windtunnel_overhead_latency_seconds_bucket", "+Inf"] == 6


def test_of_too_many_variants_the_silent_ones_are_dropped() -> None:
    """A pipeline that makes an endpoint a minute must not fill the cloud's memory."""
    samples, totals = Samples(), Totals()
    for number in range(limits.METRIC_TOTAL_COUNT_MAX + 5):
        samples.record(_record(200, endpoint=f"e{number}"))
        samples.record(_record(200, endpoint="lively"))
        totals.add(samples.take())
    (invocations, *_) = totals.families()
    names = {sample.labels["endpoint"] for sample in invocations.samples}

    assert len(names) == limits.METRIC_TOTAL_COUNT_MAX
    assert "lively" in names
    assert "e0" not in names
