"""Auto scaling over a real store and real metrics, played on a clock that stands still."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from windtunnel.cloud.autoscaling.service import AutoScaling
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, Sample, variant_metric
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.errors import ConflictError
from windtunnel.cloud.sagemaker.changes import check_instance_count, rescaled
from windtunnel.cloud.sagemaker.lifecycle import Event, IllegalTransitionError, Status
from windtunnel.cloud.sagemaker.records import Change, Endpoint, Variant
from windtunnel.cloud.store.store import Store
from windtunnel.cloud.tempo import Tempo
from windtunnel.core.clock import ManualClock

# A whole hour, and the moment after it that the loop gives samples to settle.
NOW_S = 1_700_002_800.75
RESOURCE = "endpoint/e/variant/v"
PLACE = {
    "service_namespace": "sagemaker",
    "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
}

T = TypeVar("T")


class FakeSageMaker:
    """Endpoints whose changes are made when the test says so."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.endpoints: dict[str, Endpoint] = {}
        # Counts that were asked for, in order.
        self.asked: list[int] = []
        self.is_prompt = True

    def make(self, name: str = "e", *, count: int = 1, instance_type: str = "ml.m5.large") -> None:
        """Have an endpoint in service."""
        variant = Variant("v", "m", "local/command", {}, None, instance_type, count, 1.0)
        now_s = self._clock.now_s()
        self.endpoints[name] = Endpoint(
            name, f"arn:{name}", "c", now_s, now_s, Status.IN_SERVICE, (variant,)
        )

    def count(self, name: str = "e") -> int:
        """Return how many instances serve."""
        return self.endpoints[name].variants[0].instance_count

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint, as SageMaker does."""
        return self.endpoints.get(name)

    async def set_instance_count(
        self, endpoint_name: str, variant_name: str, instance_count: int
    ) -> None:
        """Begin a change, as SageMaker does."""
        endpoint = self.endpoints[endpoint_name]
        desired = [{"variant_name": variant_name, "desired_instance_count": instance_count}]
        now_s = self._clock.now_s()
        change = Change("capacity", "c", rescaled(endpoint, desired), now_s)
        check_instance_count(change.variants)
        self.asked.append(instance_count)
        self._apply(endpoint_name, Event.UPDATE_REQUESTED, change=change)
        if self.is_prompt:
            self.settle(endpoint_name)

    def settle(self, name: str = "e", *, failure: str | None = None) -> None:
        """Complete a change, or let it fail."""
        if failure is None:
            self._apply(name, Event.UPDATED)
        else:
            self._apply(name, Event.CAPACITY_FAILED, failure_reason=failure)
            self._apply(name, Event.ROLLED_BACK)

    def delete(self, name: str = "e") -> None:
        """Begin to delete an endpoint."""
        self._apply(name, Event.DELETE_REQUESTED)

    def _apply(self, name: str, event: Event, **more: Any) -> None:
        try:
            changed = self.endpoints[name].after(event, self._clock.now_s(), **more)
        except IllegalTransitionError:
            raise ConflictError(f'Cannot update in-progress endpoint "arn:{name}".') from None
        assert changed is not None
        self.endpoints[name] = changed


class Played:
    """The rooms that scale, on a loop of their own."""

    def __init__(self, path: Path, tempo: Tempo) -> None:
        self.clock = ManualClock(NOW_S)
        self.sagemaker = FakeSageMaker(self.clock)
        self.tempo = tempo
        self._path = path
        self._loop = asyncio.new_event_loop()
        self.run(self._open())

    async def _open(self) -> None:
        self.store = await Store.open(self._path / "store")
        self.cloudwatch = CloudWatch(
            self.clock,
            await Archive.open(self._path / "metrics"),
            keeps_seconds=self.tempo.is_warped,
        )
        self.alarms = Alarms(
            self.store, self.cloudwatch, self.clock, region="us-east-1", tempo=self.tempo
        )
        await self.alarms.load()
        self.scaling = AutoScaling(
            self.store,
            self.alarms,
            self.sagemaker,
            self.clock,
            region="us-east-1",
            tempo=self.tempo,
        )
        self.alarms.hand_actions_to(self.scaling.action_error)
        await self.scaling.resume()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Return what something comes to."""

        async def wait() -> T:
            return await awaitable

        return self._loop.run_until_complete(wait())

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Return an operation's answer."""
        operations = {
            **self.scaling.operations(),
            **self.alarms.operations(),
            **self.cloudwatch.operations(),
        }
        return self.run(operations[operation](request))

    def scale(self, operation: str, **request: Any) -> dict[str, Any]:
        """Ask about the one target."""
        return self.ask(operation, resource_id=RESOURCE, **PLACE, **request)

    def register(self, low: int = 1, high: int = 4, **more: Any) -> dict[str, Any]:
        """Make the endpoint's variant a target."""
        return self.scale("RegisterScalableTarget", min_capacity=low, max_capacity=high, **more)

    def track(self, target: float = 60.0, name: str = "p", **more: Any) -> dict[str, Any]:
        """Put a policy on invocations per instance."""
        return self.scale(
            "PutScalingPolicy",
            policy_name=name,
            policy_type="TargetTrackingScaling",
            target_tracking_scaling_policy_configuration={
                "target_value": target,
                "predefined_metric_specification": {
                    "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
                },
                **more,
            },
        )

    def minutes(self, count: int, requests: float | None, *, length_s: float = 60.0) -> None:
        """Let minutes pass with so many requests in each; None: nobody measured anything."""
        for _ in range(count):
            if requests is not None:
                share = requests / self.sagemaker.count()
                metric = variant_metric(INVOCATIONS, "InvocationsPerInstance", "e", "v")
                at_s = int(self.clock.now_s())
                self.cloudwatch.add([Sample(metric, "None", at_s, Summary.of_value(share))])
            self.clock.advance(length_s)
            self.round()

    def measure(self, value: float, age_s: float) -> None:
        """Have a measurement that comes late."""
        metric = variant_metric(INVOCATIONS, "InvocationsPerInstance", "e", "v")
        at_s = int(self.clock.now_s() - age_s)
        self.cloudwatch.add([Sample(metric, "None", at_s, Summary.of_value(value))])

    def round(self) -> None:
        """Let the loop go round."""
        self.run(self.scaling.round())

    def activities(self, **request: Any) -> list[dict[str, Any]]:
        """Return what was done, newest first."""
        answer = self.ask("DescribeScalingActivities", service_namespace="sagemaker", **request)
        found: list[dict[str, Any]] = answer["scaling_activities"]
        return found

    def states(self) -> dict[str, str]:
        """Return the alarms' states, by the word that tells them apart."""
        found = self.ask("DescribeAlarms")["metric_alarms"]
        return {
            "high" if "AlarmHigh" in each["alarm_name"] else "low": each["state_value"]
            for each in found
        }

    def restart(self) -> None:
        """Open the same files again, after an orderly end."""
        self.close_files()
        self.run(self._open())

    def close_files(self) -> None:
        """Let the files go."""
        self.run(self.scaling.close())
        self.run(self.cloudwatch.close())
        self.run(self.store.close())

    def close(self) -> None:
        """End it."""
        self.close_files()
        self._loop.close()


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Make rooms that end with the test, with an endpoint `e` in service."""
    made: list[Played] = []

    def make(*, warp: int = 1) -> Played:
        path = tmp_path / str(len(made))
        path.mkdir()
        made.append(Played(path, Tempo(warp)))
        made[-1].sagemaker.make()
        return made[-1]

    yield make
    for each in made:
        each.close()
