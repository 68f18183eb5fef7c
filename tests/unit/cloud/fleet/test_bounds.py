"""What a fleet may take of its machine: memory, logs, and what earlier ones left."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from tests.unit.cloud.fleet.played import Cloud, Play, fetch, wait_until

from windtunnel.cloud.fleet import memory
from windtunnel.cloud.fleet.fleet import StartFailedError
from windtunnel.core import free_memory, limits
from windtunnel.core.home import Home

pytestmark = pytest.mark.slow


def test_an_instance_that_does_not_fit_is_refused_with_a_reason(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that swaps measures its disk, so it is not let come to that."""
    one = memory.Demand("command", {}).size_bytes
    monkeypatch.setattr(
        free_memory, "available_bytes", lambda: limits.MEMORY_RESERVE_BYTES + one + one // 4
    )

    async def story(cloud: Cloud) -> None:
        first = asyncio.create_task(cloud.start(cloud.command("sick")))
        await wait_until(
            lambda: first.done() or cloud.fleet.statistics().promised_bytes == one, "promised"
        )
        # The first has not taken its memory yet, but the second cannot have it any more.
        with pytest.raises(StartFailedError, match="not enough memory"):
            await cloud.start(cloud.command())
        first.cancel()
        await asyncio.wait({first})
        assert first.cancelled()

        await cloud.start(cloud.command())
        assert cloud.fleet.statistics().promised_bytes == 0

    play(story)


def test_a_chatty_container_s_log_is_bounded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that prints without end fills no disk."""
    monkeypatch.setattr(limits, "INSTANCE_LOG_BYTES_MAX", 10_000)
    monkeypatch.setattr(limits, "INSTANCE_LOG_CHECK_INTERVAL_S", 0.01)

    async def story(cloud: Cloud) -> None:
        instance = await cloud.start(cloud.command())
        older = instance.log_path.with_suffix(".log.1")
        with instance.log_path.open("ab") as log:
            log.write(b"x" * 20_000)
        await wait_until(older.exists, "rotated")
        await wait_until(lambda: instance.log_path.stat().st_size < 10_000, "cut")
        with contextlib.suppress(OSError):
            await fetch(instance.addresses[0], "/crash")
        await wait_until(lambda: len(cloud.changes) == 2, "gone and back")

        # What comes after the cut is at the new beginning, not behind a hole.
        assert instance.log_path.read_bytes().startswith(b"[windtunnel ")
        assert older.stat().st_size >= 20_000

    play(story)


def test_what_earlier_clouds_left_is_bounded(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home used for a year does not fill the disk with logs and models nobody uses."""
    monkeypatch.setattr(limits, "INSTANCE_LOG_COUNT_MAX", 1)
    monkeypatch.setattr(limits, "MODEL_CACHE_BYTES_MAX", 150)
    home = Home(tmp_path / "home")
    for number, name in enumerate(("old", "new")):
        (home.models / name).mkdir(parents=True)
        (home.models / name / "weights.bin").write_bytes(b"x" * 100)
        os.utime(home.models / name, (number, number))
        log = home.logs / "endpoints" / name / "v" / "i.log"
        log.parent.mkdir(parents=True)
        log.write_text("x")
        os.utime(log, (number, number))
    (home.models / ".incoming-x").mkdir()

    async def story(cloud: Cloud) -> None:
        await cloud.start(cloud.command(model_data_url=cloud.model()))

        assert (cloud.home.models / "new").exists()
        assert not (cloud.home.models / "old").exists()
        assert not (cloud.home.models / ".incoming-x").exists()
        assert not (cloud.home.logs / "endpoints/old").exists()
        assert (cloud.home.logs / "endpoints/new/v/i.log").exists()

    play(story)


def test_an_instance_that_is_still_being_provisioned_holds_nothing(play: Play) -> None:
    """Minutes of waiting for a machine, as on AWS, must not take memory, and can be given up."""

    async def story(cloud: Cloud) -> None:
        asked: list[float] = []

        def provision_s() -> float:
            asked.append(3600.0)
            return asked[-1]

        cloud.fleet._provision_s = provision_s
        starting = asyncio.create_task(cloud.start(cloud.command()))
        await wait_until(lambda: asked == [3600.0], "asked for its time")
        statistics = cloud.fleet.statistics()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

        assert (statistics.instance_count, statistics.promised_bytes) == (0, 0)
        assert cloud.changes == []

        cloud.fleet._provision_s = lambda: 0.05
        assert (await cloud.start(cloud.command())).is_healthy

    play(story)
