"""What is looked at on the clock: how often, and under which name."""

import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cloud.cloudwatch.conftest import NOW_S, Play, Played

from windtunnel.cloud.cloudwatch.sampler import Sampler
from windtunnel.cloud.fleet.instance import Instance, InstanceSpec
from windtunnel.cloud.router.routes import VariantLoad

_DIMENSIONS = [{"name": "EndpointName", "value": "e"}, {"name": "VariantName", "value": "v"}]
_INSTANCES = "/aws/sagemaker/Endpoints"


def _instance() -> Instance:
    instance = Instance(
        InstanceSpec("e", "v", "ml.c5.large", "local/command", {}, None), Path("/nonexistent")
    )
    # This process stands in for a container's first one.
    instance.root_pid = os.getpid()
    instance.model_bytes = 10**6
    return instance


class Watched:
    """A sampler of two instances, played in steps of ten seconds."""

    def __init__(self, played: Played, disk: Path) -> None:
        self.played = played
        self.in_flight = {"i-1": 0, "i-2": 0}
        self.loaded: dict[str, int] = {}
        self.instances = [_instance(), _instance()]
        self.sampler = Sampler(
            played.clock, played.cloudwatch, self._loads, lambda: self.instances, disk
        )

    def _loads(self) -> list[VariantLoad]:
        return [VariantLoad("e", "v", dict(self.in_flight), dict(self.loaded))]

    def step(self, seconds: float = 10) -> None:
        """Let time pass, and the sampler look."""
        self.played.clock.advance(seconds)
        self.played.run(self.sampler.look())

    def points(
        self, name: str, *wanted: str, namespace: str = "AWS/SageMaker", period: int = 60
    ) -> list[dict[str, Any]]:
        answer = self.played.ask(
            "GetMetricStatistics",
            namespace=namespace,
            metric_name=name,
            dimensions=_DIMENSIONS,
            start_time=NOW_S,
            end_time=NOW_S + 600,
            period=period,
            statistics=list(wanted),
        )
        points: list[dict[str, Any]] = answer["datapoints"]
        return points


@pytest.fixture
def watched(played: Played, tmp_path: Path) -> Watched:
    """A sampler whose clock stands at a whole minute."""
    return Watched(played, tmp_path)


def test_what_is_in_flight_is_looked_at_every_ten_seconds(watched: Watched) -> None:
    """High-resolution scaling sees a burst after ten seconds, for each instance's container."""
    for first, second in ((0, 0), (3, 1), (5, 0)):
        watched.in_flight = {"i-1": first, "i-2": second}
        watched.step()
    points = watched.points("ConcurrentRequestsPerModel", "Maximum", "Sum", period=10)

    assert [(p["timestamp"] - NOW_S, p["maximum"], p["sum"]) for p in points] == [
        (10, 0, 0),
        (20, 3, 4),
        (30, 5, 5),
    ]
    (minute,) = watched.points("ConcurrentRequestsPerModel", "SampleCount", "Average")
    assert (minute["sample_count"], minute["average"]) == (6, 1.5)


def test_a_minutes_sample_count_is_the_number_of_instances(watched: Watched) -> None:
    """It is how AWS's users count the instances behind an endpoint."""
    for _ in range(6):
        watched.step()
    watched.instances.pop()
    for _ in range(6):
        watched.step()

    for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        points = watched.points(name, "SampleCount", "Minimum", namespace=_INSTANCES)
        assert [(point["timestamp"] - NOW_S, point["sample_count"]) for point in points] == [
            (0, 2),
            (60, 1),
        ]
        assert all(point["unit"] == "Percent" for point in points)
    assert watched.points("MemoryUtilization", "Minimum", namespace=_INSTANCES)[0]["minimum"] > 0


def test_an_idle_minute_has_zeros(watched: Watched) -> None:
    """Scaling in needs a value to be below its threshold: missing data keeps instances for ever."""
    watched.played.record("e", NOW_S + 30)
    for _ in range(12):
        watched.step()

    for name in ("Invocations", "InvocationsPerInstance"):
        points = watched.points(name, "Sum", "SampleCount")
        assert [(point["timestamp"] - NOW_S, point["sum"]) for point in points] == [
            (0, 1),
            (60, 0),
        ]
        # The minute with a request has no zero beside it.
        assert points[0]["sample_count"] == 1
    # What no request sent is not made up: a latency of zero would be a lie.
    assert len(watched.points("ModelLatency", "Average")) == 1


def test_zeros_are_not_added_to_what_is_not_shown_yet(play: Play, tmp_path: Path) -> None:
    """With AWS's delay a minute looks empty for a while, and is not."""
    watched = Watched(play(visible_after_s=120), tmp_path)
    watched.played.record("e", NOW_S + 30)
    for _ in range(30):
        watched.step()

    assert watched.points("Invocations", "SampleCount", "Sum")[0] == {
        "timestamp": NOW_S,
        "unit": "None",
        "sum": 1,
        "sample_count": 1,
    }


def test_nothing_is_sampled_twice_and_no_minute_is_missed(watched: Watched) -> None:
    """A sleep that ends too early, or a loop that was busy, must not bend the figures."""
    watched.step(9.9)
    watched.step(0.2)
    watched.step(1)
    # Half a minute late, over the end of the minute.
    watched.step(70)

    counts = watched.points("ConcurrentRequestsPerModel", "SampleCount", period=10)
    assert [(p["timestamp"] - NOW_S, p["sample_count"]) for p in counts] == [(10, 2), (80, 2)]
    (minute,) = watched.points("CPUUtilization", "SampleCount", namespace=_INSTANCES)
    assert (minute["timestamp"], minute["sample_count"]) == (NOW_S, 2)


def test_loaded_models_are_counted_by_instance(watched: Watched) -> None:
    """Average is what one instance holds, Sum what the endpoint does: both tell when to scale."""
    watched.loaded = {"i-1": 3, "i-2": 1}
    for _ in range(6):
        watched.step()
    (point,) = watched.points("LoadedModelCount", "Average", "Sum", namespace=_INSTANCES)

    assert (point["average"], point["sum"]) == (2, 4)
