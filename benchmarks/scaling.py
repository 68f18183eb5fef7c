"""Live auto scaling: one round over 1,000 scalable targets.

The round reads what CloudWatch kept of 1,000 metrics for 2,000 alarms, from a real file, and asks
1,000 deciders. Beside it another task of the same loop wakes up every half a millisecond, and says
how late it was.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from windtunnel.cloud.autoscaling.service import AutoScaling
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, Sample, variant_metric
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.sagemaker.lifecycle import Status
from windtunnel.cloud.sagemaker.records import Endpoint, Variant
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import ManualClock

TARGETS = 1000
ROUNDS = 10
_PLACE = {
    "service_namespace": "sagemaker",
    "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
}
# A whole hour, and the moment that samples are given to settle.
_PULSE_S = 0.0005
_NOW_S = 1_700_002_800.75


class _SageMaker:
    """Endpoints that are there and never change."""

    def __init__(self, count: int) -> None:
        variant = Variant("v", "m", "local/command", {}, None, "ml.m5.large", 2, 1.0)
        self._endpoints = {
            f"e{number}": Endpoint(
                f"e{number}", "arn", "c", _NOW_S, _NOW_S, Status.IN_SERVICE, (variant,)
            )
            for number in range(count)
        }

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint."""
        return self._endpoints.get(name)

    async def set_instance_count(
        self, endpoint_name: str, variant_name: str, instance_count: int
    ) -> None:
        """Be asked for nothing."""
        raise AssertionError((endpoint_name, variant_name, instance_count))


def main() -> list[str]:
    """Measure and return the lines of a table."""
    # As in the cloud (`cloud/app.py`).
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measured(Path(directory)))


async def _measured(directory: Path) -> list[str]:
    clock = ManualClock(_NOW_S)
    store = await Store.open(directory / "store")
    cloudwatch = CloudWatch(clock, await Archive.open(directory / "metrics"))
    alarms = Alarms(store, cloudwatch, clock, region="us-east-1")
    await alarms.load()
    scaling = AutoScaling(store, alarms, _SageMaker(TARGETS), clock, region="us-east-1")
    await scaling.resume()
    await _register(scaling)
    for _ in range(20):
        _load(cloudwatch, clock)
        clock.advance(60)
        await scaling.round()
    walls, cpus, stalls, idles = [], [], [], []
    for _ in range(ROUNDS):
        _load(cloudwatch, clock)
        await cloudwatch.totals()
        clock.advance(60)
        wall_s, cpu_s, stall_s = await _timed(scaling)
        walls.append(wall_s)
        cpus.append(cpu_s)
        stalls.append(stall_s)
        idles.append((await _timed(scaling))[0])
    await cloudwatch.close()
    await store.close()
    return [
        f"| {TARGETS:,} targets, {2 * TARGETS:,} alarms | median of {ROUNDS} | worst |",
        "|---|---|---|",
        _row("a round in which every alarm is due", walls),
        _row("CPU of it, all threads", cpus),
        _row("longest wait of the loop's other tasks", stalls),
        _row("a round in which nothing is due", idles),
    ]


async def _register(scaling: AutoScaling) -> None:
    operations = scaling.operations()
    for number in range(TARGETS):
        place = {**_PLACE, "resource_id": f"endpoint/e{number}/variant/v"}
        await operations["RegisterScalableTarget"]({**place, "min_capacity": 1, "max_capacity": 4})
        await operations["PutScalingPolicy"](
            {
                **place,
                "policy_name": "p",
                "policy_type": "TargetTrackingScaling",
                "target_tracking_scaling_policy_configuration": {
                    "target_value": 60.0,
                    "predefined_metric_specification": {
                        "predefined_metric_type": "SageMakerVariantInvocationsPerInstance"
                    },
                },
            }
        )


def _load(cloudwatch: CloudWatch, clock: ManualClock) -> None:
    """Have a minute's metric of each: on target, so that nothing is to be changed."""
    at_s = int(clock.now_s())
    for number in range(TARGETS):
        metric = variant_metric(INVOCATIONS, "InvocationsPerInstance", f"e{number}", "v")
        cloudwatch.add([Sample(metric, "None", at_s, Summary.of_value(58.0))])


async def _timed(scaling: AutoScaling) -> tuple[float, float, float]:
    """Return how long a round took, its CPU, and how long the loop was held at most."""
    worst_s = 0.0

    async def watch() -> None:
        nonlocal worst_s
        while True:
            before_s = time.perf_counter()
            await asyncio.sleep(_PULSE_S)
            worst_s = max(worst_s, time.perf_counter() - before_s - _PULSE_S)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await scaling.round()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    watching.cancel()
    return wall_s, cpu_s, worst_s


def _row(name: str, values_s: list[float]) -> str:
    return f"| {name} | {statistics.median(values_s) * 1e3:.1f} ms | {max(values_s) * 1e3:.1f} ms |"
