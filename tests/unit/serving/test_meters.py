"""What a container's processes count together, and how Prometheus is told of it."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from windtunnel.serving.exposition import render_metrics
from windtunnel.serving.meters import Meter, MeterPlan, Stages

# In the order in which the tests name them.
LABELS = ("process", "model", "status", "le")


@pytest.fixture
def plan(tmp_path: Path) -> MeterPlan:
    plan = MeterPlan(str(tmp_path / "meters"), ["unet"], ["model_server", "model_server", "front"])
    plan.create()
    return plan


def read(meter: Meter) -> dict[tuple[str, ...], float]:
    """Return samples by their name and labels' values."""
    text = render_metrics(meter).decode()
    return {
        (sample.name, *(sample.labels[k] for k in LABELS if k in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_any_process_answers_for_all(plan: MeterPlan) -> None:
    """A scrape reaches one of several model servers, and must not tell of that one only."""
    one, other = plan.open(), replace(plan, index=1).open()
    one.note_answer("unet", "200", 0.02)
    other.note_answer("unet", "200", 0.02)
    other.note_answer("unet", "400", 0.02)
    one.note_queue(5, 3)
    other.note_queue(1, 0)
    one.note_batch(4)

    for meter in (one, other):
        found = read(meter)
        name = "windtunnel_container_requests_total"
        assert found[name, "model_server", "unet", "200"] == 2
        assert found[name, "model_server", "unet", "400"] == 1
        assert found["windtunnel_container_requests_in_hand", "model_server"] == 6
        assert found["windtunnel_container_queue_length", "model_server"] == 3
        bucket = "windtunnel_container_batch_size_rows_bucket"
        assert found[bucket, "model_server", "2"] == 0
        assert found[bucket, "model_server", "4"] == 1
        bucket = "windtunnel_container_request_duration_seconds_bucket"
        assert found[bucket, "model_server", "unet", "0.01"] == 0
        assert found[bucket, "model_server", "unet", "0.025"] == 3


def test_a_process_that_crashed_leaves_its_counts_and_no_queue(plan: MeterPlan) -> None:
    """Prometheus takes a counter that falls for a restart of everything."""
    first = plan.open()
    first.note_answer("unet", "200", 0.02)
    first.note_queue(7, 7)
    second = plan.open()
    second.note_answer("unet", "200", 0.02)

    found = read(second)
    assert found["windtunnel_container_requests_total", "model_server", "unet", "200"] == 2
    assert found["windtunnel_container_requests_in_hand", "model_server"] == 0
    assert found["windtunnel_container_process_restarts_total", "model_server"] == 1
    assert found["windtunnel_container_process_restarts_total", "front"] == 0


def test_clients_do_not_choose_what_is_counted(plan: MeterPlan) -> None:
    """A client that makes up names of models must not fill Prometheus with them."""
    meter = plan.open()
    meter.note_answer("made up", "404", 0.0)
    meter.note_answer("unet", "599", 0.0)

    found = read(meter)
    assert found["windtunnel_container_requests_total", "model_server", "", "404"] == 1
    assert found["windtunnel_container_requests_total", "model_server", "unet", "other"] == 1


def test_threads_lose_no_counts(plan: MeterPlan) -> None:
    """Those of gRPC and of batches count beside the loop."""
    meter = plan.open()

    def count() -> None:
        for _ in range(2000):
            meter.note_answer("unet", "200", 0.5, None)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    name = "windtunnel_container_request_duration_seconds"
    assert read(meter)[f"{name}_count", "model_server", "unet"] == 8000
    assert read(meter)[f"{name}_sum", "model_server", "unet"] == 4000


def test_a_request_without_a_run_has_no_stages(plan: MeterPlan) -> None:
    """What was refused while it was read would make decoding and encoding look fast."""
    meter = plan.open()
    stages = Stages()
    stages.end()
    meter.note_answer("unet", "400", 0.1, stages)
    names = {name for name, *_ in read(meter)}

    assert "windtunnel_container_request_duration_seconds_count" in names
    assert "windtunnel_container_engine_duration_seconds_count" not in names
