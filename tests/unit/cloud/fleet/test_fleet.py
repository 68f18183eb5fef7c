"""Commands as instances, with real processes: small servers, real signals."""

import asyncio
import contextlib
import os

import pytest
from tests import processes
from tests.unit.cloud.fleet.played import Cloud, Play, fetch, on_both_loops, wait_until

from windtunnel.cloud.fleet import fleet as fleet_module
from windtunnel.cloud.fleet import health
from windtunnel.cloud.fleet.fleet import Instance, StartFailedError
from windtunnel.cloud.fleet.health import Pulse
from windtunnel.core import limits

pytestmark = pytest.mark.slow


@on_both_loops
def test_a_command_serves_with_its_model_cores_ports_and_variables(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any server that keeps the contract runs as an instance, and sees only what it should."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")

    async def story(cloud: Cloud) -> None:
        spec = cloud.command(
            model_data_url=cloud.model(), environment={"A": "1"}, instance_type="ml.r8g.medium"
        )
        instance = await cloud.start(spec)
        [address] = instance.addresses
        told = await fetch(address)

        assert instance.is_healthy
        assert instance.is_foreign
        assert told["files"] == ["weights.bin"]
        assert told["A"] == "1"
        assert told["cpus"] == list(instance.cpus)
        assert len(instance.cpus) == 1
        assert told["nice"] == min(19, os.nice(0) + limits.INSTANCE_NICENESS)
        low, high = map(int, told["SAGEMAKER_SAFE_PORT_RANGE"].split("-"))
        assert int(address.split(":")[2]) < low < high
        assert not {"AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"} & set(told["variables"])
        assert "serving" in instance.log_path.read_text()
        assert instance.root_pid is not None
        assert processes.below(instance.root_pid, str(cloud.script))
        assert instance.model_bytes == len(b"weights")
        assert cloud.fleet.healthy_instances() == [instance]
        assert cloud.home.logs in instance.log_path.parents

        await cloud.fleet.stop(instance)
        assert await health.ping(address) is Pulse.GONE
        assert cloud.fleet.statistics().core_load == dict.fromkeys(os.sched_getaffinity(0), 0)
        assert cloud.changes == [], "a stop that was asked for is no change"
        assert not instance.root_pid
        assert cloud.fleet.healthy_instances() == []

    play(story)


def test_two_instances_do_not_share_a_port(play: Play) -> None:
    """All local instances share one host, and none of them notices."""

    async def story(cloud: Cloud) -> None:
        first, second = await asyncio.gather(*(cloud.start(cloud.command()) for _ in range(2)))
        told = [await fetch(each.addresses[0]) for each in (first, second)]

        assert first.addresses != second.addresses
        assert len({each["SAGEMAKER_SAFE_PORT_RANGE"] for each in told}) == 2

    play(story)


def test_a_command_that_keeps_failing_is_given_up_with_its_last_words(play: Play) -> None:
    """The FailureReason names the exit status, the log, and what stands in it."""

    async def story(cloud: Cloud) -> None:
        with pytest.raises(StartFailedError) as caught:
            await cloud.start(cloud.command("crash"))

        reason = caught.value.reason
        [log] = (cloud.home.logs / "endpoints/echo/AllTraffic").glob("i-*.log")
        assert "The container failed 3 times in a row: it ended with exit status 4." in reason
        assert str(log) in reason
        assert "Traceback: no such model" in reason
        assert log.read_text().count("Traceback") == limits.RESTART_COUNT_MAX
        assert cloud.fleet.statistics().instance_count == 0

    play(story)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("/no/such/program", "exit status 127"),
        ("sh -c 'kill -9 $$'", "it was killed by SIGKILL"),
        ("true", "it ended with exit status 0"),
    ],
)
def test_however_a_command_ends_it_is_said(play: Play, words: str, reason: str) -> None:
    """A missing program, a signal and an early success are told apart."""

    async def story(cloud: Cloud) -> None:
        spec = cloud.command(environment={"WINDTUNNEL_COMMAND": words})
        with pytest.raises(StartFailedError, match=reason):
            await cloud.start(spec)

    play(story)


def test_a_command_that_never_answers_fails_when_its_time_is_up(play: Play) -> None:
    """A server on the wrong port does not keep an endpoint in Creating for ever."""

    async def story(cloud: Cloud) -> None:
        with pytest.raises(StartFailedError, match="did not answer /ping with 200 within 0 s"):
            await cloud.start(cloud.command("sick", startup_timeout_s=0.4))

    play(story)


@on_both_loops
def test_a_crash_is_told_and_mended(play: Play) -> None:
    """The router hears at once that an instance is gone, and where it is when it is back."""

    async def story(cloud: Cloud) -> None:
        instance = await cloud.start(cloud.command())
        address = instance.addresses[0]
        with contextlib.suppress(OSError):
            await fetch(instance.addresses[0], "/crash")
        await wait_until(lambda: len(cloud.changes) == 2, "gone and back")

        assert cloud.changes == [(instance.id, False), (instance.id, True)]
        # At another port: the old one may linger, and not every server can take it then.
        assert instance.addresses[0] != address
        assert await health.ping(instance.addresses[0]) is Pulse.ANSWERED
        assert "it ended with exit status 9" in instance.log_path.read_text()

    play(story)


def test_a_listener_that_fails_does_not_end_the_instance(play: Play) -> None:
    """A mistake in one room is not an outage of another."""

    async def story(cloud: Cloud) -> None:
        def fail(instance: Instance) -> None:
            cloud.note(instance)
            raise RuntimeError("a mistake")

        instance = await cloud.fleet.start(cloud.command(), fail)
        with contextlib.suppress(OSError):
            await fetch(instance.addresses[0], "/crash")
        await wait_until(lambda: len(cloud.changes) == 2, "gone and back")

    play(story)


def test_a_hung_container_is_replaced(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and never answers is found out by its pings."""
    monkeypatch.setattr(limits, "PING_TIMEOUT_S", 0.05)

    async def story(cloud: Cloud) -> None:
        instance = await cloud.start(cloud.command())
        for process in cloud.processes():
            if process.cmdline()[1:] == [str(cloud.script)]:
                process.suspend()
        await wait_until(lambda: len(cloud.changes) == 2, "gone and back")

        assert "did not answer /ping 6 times in a row" in instance.log_path.read_text()

    # A stopped process does not see SIGTERM either.
    monkeypatch.setattr(limits, "CLOSE_GRACE_S", 0.1)
    play(story)


@on_both_loops
def test_close_ends_what_ignores_every_hint(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM to `up` ends containers that ignore SIGTERM and hide in sessions of their own."""
    monkeypatch.setattr(limits, "CLOSE_GRACE_S", 0.1)

    async def story(cloud: Cloud) -> None:
        await cloud.start(cloud.command("stubborn"))
        await cloud.start(cloud.tensorflow("stubborn"))

        # The keeper, its command and what hides; the zygote and its fork.
        assert len(cloud.processes()) == 5

    play(story)


@pytest.mark.parametrize("kind", ["command", "tensorflow"])
def test_close_does_not_wait_for_a_long_stop(
    play: Play, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """SIGTERM to `up` ends it in seconds, also while a deleted endpoint has its half minute."""
    monkeypatch.setattr(limits, "STOP_GRACE_S", 1000.0)
    monkeypatch.setattr(limits, "CLOSE_GRACE_S", 0.1)

    async def story(cloud: Cloud) -> None:
        spec = cloud.command("stubborn") if kind == "command" else cloud.tensorflow("stubborn")
        instance = await cloud.start(spec)
        stopping = asyncio.create_task(cloud.fleet.stop(instance))
        await asyncio.sleep(0)
        await cloud.fleet.close()
        await asyncio.wait({stopping})

        assert stopping.exception() is None

    play(story)


@on_both_loops
def test_a_cancelled_start_leaves_nothing(play: Play) -> None:
    """An endpoint deleted while it is created takes its half-started instances along."""

    async def story(cloud: Cloud) -> None:
        starting = asyncio.create_task(cloud.start(cloud.command("sick")))
        await wait_until(
            lambda: any(p.cmdline()[-1:] == [str(cloud.script)] for p in cloud.processes()),
            "the command runs",
        )
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        # What was killed takes the kernel a moment to take down.
        await wait_until(
            lambda: not any(str(cloud.script) in p.cmdline() for p in cloud.processes()),
            "the command is gone",
        )

        assert cloud.fleet.statistics() == fleet_module.FleetStatistics(
            0, 0, dict.fromkeys(os.sched_getaffinity(0), 0), 0
        )

    play(story)
