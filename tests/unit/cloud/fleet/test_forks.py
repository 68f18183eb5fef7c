"""Forks of a zygote as instances: one without TensorFlow, and real signals."""

import asyncio
import gc
import json
import os
from pathlib import Path

import psutil
import pytest
from tests.unit.cloud.fleet.played import Cloud, Play, on_both_loops, wait_until

from windtunnel.cloud.fleet import health
from windtunnel.cloud.fleet.fleet import StartFailedError
from windtunnel.cloud.fleet.health import Pulse
from windtunnel.core import limits

pytestmark = pytest.mark.slow


@on_both_loops
def test_a_fork_of_the_zygote_serves(play: Play) -> None:
    """A TensorFlow container is a fork: its leader says where its model servers answer."""

    async def story(cloud: Cloud) -> None:
        # Orders of 200 KB, the largest environment CreateModel admits, pass the socket whole.
        large = {f"V{number}": "x" * 2000 for number in range(100)}
        first, second = await asyncio.gather(
            cloud.start(cloud.tensorflow(SERVERS="3", **large)),
            cloud.start(cloud.tensorflow(SERVERS="1", **large)),
        )
        work_dir = Path(first.addresses[0].removeprefix("unix:")).parent
        order = json.loads((work_dir / "order.json").read_text())

        assert not first.is_foreign
        assert first.root_pid is not None
        assert psutil.Process(first.root_pid).ppid() != os.getpid(), "the zygote forked it"
        assert (len(first.addresses), len(second.addresses)) == (3, 1)
        assert order["environment"]["V99"] == "x" * 2000
        assert order["cpus"] == list(first.cpus)
        assert order["nice"] == min(19, os.nice(0) + limits.INSTANCE_NICENESS)
        assert order["environment"]["PATH"]
        assert (Path(order["model_dir"]) / "weights.bin").read_bytes() == b"weights"
        assert "serves" in first.log_path.read_text()
        await cloud.fleet.stop(first)
        assert not work_dir.exists()
        assert await health.ping(second.addresses[0]) is Pulse.ANSWERED

    play(story)


def test_a_model_that_cannot_be_served_fails_at_once_in_the_container_s_words(play: Play) -> None:
    """A bad model is not started three times to fail three times."""

    async def story(cloud: Cloud) -> None:
        with pytest.raises(StartFailedError) as caught:
            await cloud.start(cloud.tensorflow("refuse"))

        # Its own sentence, once: not again as the log's last line.
        words, _, rest = caught.value.reason.partition(" Log: ")
        assert words == "The container failed: the model has no signature."
        assert rest.endswith(".log.")
        [log] = (cloud.home.logs / "endpoints/unet/AllTraffic").glob("i-*.log")
        assert log.read_text().count("leader") == 1

    play(story)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("crash", "3 times in a row: it ended with exit status 3"),
        ("nonsense", "its status could not be read"),
    ],
)
def test_a_leader_that_fails_is_given_up(play: Play, mode: str, reason: str) -> None:
    """However our own container breaks, the endpoint fails with a reason."""

    async def story(cloud: Cloud) -> None:
        with pytest.raises(StartFailedError, match=reason):
            await cloud.start(cloud.tensorflow(mode))

    play(story)


def test_a_killed_leader_comes_back(play: Play) -> None:
    """What the kernel's memory killer takes is started again."""

    async def story(cloud: Cloud) -> None:
        instance = await cloud.start(cloud.tensorflow())
        [leader] = [p for p in cloud.processes() if psutil.Process(p.ppid()).pid != os.getpid()]
        leader.kill()
        await wait_until(lambda: len(cloud.changes) == 2, "gone and back")

        assert cloud.changes == [(instance.id, False), (instance.id, True)]
        assert "it was killed by SIGKILL" in instance.log_path.read_text()

    play(story)


@on_both_loops
def test_a_dead_zygote_is_replaced_and_its_instances_with_it(play: Play) -> None:
    """One crash of the process that has TensorFlow takes nothing down for good."""

    async def story(cloud: Cloud) -> None:
        instances = await asyncio.gather(*(cloud.start(cloud.tensorflow()) for _ in range(2)))
        before = {process.pid for process in cloud.processes()}
        [zygote] = [p for p in cloud.processes() if p.ppid() == os.getpid()]
        zygote.kill()
        await wait_until(lambda: len(cloud.changes) == 4, "all gone and back")

        assert all(instance.is_healthy for instance in instances)
        assert not before & {process.pid for process in cloud.processes()}
        assert "the zygote, ended" in instances[0].log_path.read_text()

    play(story)


@pytest.mark.parametrize(
    ("home", "reason"),
    [("/cold", "cannot import tensorflow"), ("/threads", "importing left 3 threads")],
)
def test_a_zygote_that_cannot_start_says_why(
    play: Play, monkeypatch: pytest.MonkeyPatch, home: str, reason: str
) -> None:
    """Without TensorFlow, the endpoint's FailureReason has the import's own error."""
    monkeypatch.setenv("HOME", home)

    async def story(cloud: Cloud) -> None:
        # Asked again it is tried again: what was missing may have been installed.
        for _ in range(2):
            with pytest.raises(StartFailedError, match=reason):
                await cloud.start(cloud.tensorflow())

    play(story)


@on_both_loops
def test_a_start_cancelled_in_the_zygote_leaves_no_fork(play: Play) -> None:
    """Cancelled between the order and the fork, nothing is left all the same."""

    async def story(cloud: Cloud) -> None:
        await cloud.start(cloud.tensorflow())
        for turns in range(60):
            starting = asyncio.create_task(cloud.start(cloud.tensorflow("sick")))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting

        # A file that forgot that its descriptor is closed would close another's, and warn of it.
        gc.collect()
        # The zygote and the one that was wanted.
        assert len(cloud.processes()) == 2
        assert cloud.fleet.statistics().instance_count == 1

    play(story)


def test_a_zygote_that_talks_nonsense_is_replaced(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a broken zygote ends in a reason, not in an endpoint that is Creating for ever."""
    monkeypatch.setenv("HOME", "/mad")

    async def story(cloud: Cloud) -> None:
        with pytest.raises(StartFailedError, match="it ended 3 times in a row before it was ready"):
            await cloud.start(cloud.tensorflow())

    play(story)


def test_a_server_that_is_gone_is_not_sent_to(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three model servers one crashes: the router goes on with two until it is back."""
    # However slow this machine is, the silence is not yet a crash.
    monkeypatch.setattr(limits, "PING_FAILURE_COUNT_MAX", 1_000_000)

    async def story(cloud: Cloud) -> None:
        instance = await cloud.start(cloud.tensorflow(SERVERS="3"))
        gone = instance.addresses[1].removeprefix("unix:")
        os.rename(gone, f"{gone}.away")  # noqa: PTH104 - as short as pathlib's
        await wait_until(lambda: len(instance.addresses) == 2, "left out")
        assert instance.is_healthy
        os.rename(f"{gone}.away", gone)  # noqa: PTH104
        await wait_until(lambda: len(instance.addresses) == 3, "back")

        assert cloud.changes == [(instance.id, True), (instance.id, True)]

    play(story)
