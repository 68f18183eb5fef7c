"""A CloudWatch over a file of its own, played on a clock that stands still."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.core.clock import ManualClock

# A whole minute.
NOW_S = 1_700_000_040.0

T = TypeVar("T")


class Played:
    """A CloudWatch on a loop of its own; the archive is closed with it."""

    def __init__(self, path: Path, visible_after_s: float) -> None:
        self.clock = ManualClock(NOW_S)
        self.path = path
        self._visible_after_s = visible_after_s
        self._loop = asyncio.new_event_loop()
        self.cloudwatch = self._loop.run_until_complete(self._open())

    async def _open(self) -> CloudWatch:
        archive = await Archive.open(self.path)
        return CloudWatch(self.clock, archive, visible_after_s=self._visible_after_s)

    def run(self, awaitable: Awaitable[T]) -> T:
        """Return what something comes to."""

        async def wait() -> T:
            return await awaitable

        return self._loop.run_until_complete(wait())

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Return an operation's answer."""
        return self.run(self.cloudwatch.operations()[operation](request))

    def record(self, endpoint_name: str, at_s: float, latency_s: float = 0.01) -> None:
        """Have the router's record of an invocation."""
        self.cloudwatch.record(
            InvocationRecord(endpoint_name, "v", at_s, 200, latency_s, 0.001, 1, False)
        )

    def put(self, name: str, *values: float, at_s: float = NOW_S, **more: Any) -> None:
        """Put values of a metric of the namespace Own."""
        datum = {"metric_name": name, "values": list(values), "timestamp": at_s, **more}
        self.ask("PutMetricData", namespace="Own", metric_data=[datum])

    def restart(self) -> None:
        """Open the same file again, after an orderly end."""
        self.run(self.cloudwatch.close())
        self.cloudwatch = self.run(self._open())

    def close(self) -> None:
        """End it."""
        self.run(self.cloudwatch.close())
        self._loop.close()


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Make CloudWatches that end with the test."""
    made: list[Played] = []

    def make(*, visible_after_s: float = 0.0) -> Played:
        made.append(Played(tmp_path / f"metrics-{len(made)}", visible_after_s))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def played(play: Play) -> Played:
    """One CloudWatch."""
    return play()
