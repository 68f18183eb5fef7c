"""The fleet with real processes: small servers, a zygote without TensorFlow, real signals."""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from windtunnel.cloud.fleet import fleet as fleet_module
from windtunnel.cloud.fleet import health, memory
from windtunnel.cloud.fleet.fleet import Fleet, Instance, InstanceSpec, StartFailedError
from windtunnel.cloud.fleet.health import Pulse
from windtunnel.core import free_memory, limits
from windtunnel.core.clock import SystemClock
from windtunnel.core.home import Home
from windtunnel.core.supervision import MARK_VARIABLE, Supervisor, _kill_marked, new_generation

pytestmark = pytest.mark.slow

ZYGOTE = [sys.executable, str(Path(__file__).with_name("zygote_program.py"))]
# What a user's own server might be; what it does is in its variables.
SERVER = """
import http.server, json, os, signal, sys, time
mode = os.environ.get("MODE", "ok")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(9)
        known = {name: os.environ.get(name) for name in ("A", "SAGEMAKER_SAFE_PORT_RANGE")}
        known["cpus"] = sorted(os.sched_getaffinity(0))
        known["nice"] = os.nice(0)
        known["files"] = sorted(os.listdir())
        known["variables"] = sorted(os.environ)
        body = json.dumps(known).encode()
        self.send_response(503 if mode == "sick" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
if mode == "crash":
    print("Traceback: no such model", flush=True)
    sys.exit(4)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        while True:
            signal.pause()
print("serving", flush=True)
address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


class Cloud:
    """What a test holds: a fleet, and what it is made of."""

    def __init__(self, home: Home, s3: Any, archives: Any, socket_dir: Path, script: Path) -> None:
        self.home = home
        self.s3 = s3
        self.archives = archives
        self.script = script
        self.generation = new_generation(home.id)
        self.supervisor = Supervisor(self.generation)
        self.fleet = Fleet(
            home, self.supervisor, s3.path, socket_dir, SystemClock(), zygote_program=ZYGOTE
        )
        self.changes: list[tuple[str, bool]] = []

    def command(self, mode: str = "ok", **changes: Any) -> InstanceSpec:
        """Ask for the server above, with other values where given."""
        spec = InstanceSpec(
            endpoint_name="echo",
            variant_name="AllTraffic",
            instance_type="ml.c5.large",
            image="local/command",
            environment={"WINDTUNNEL_COMMAND": f"{sys.executable} {self.script}", "MODE": mode},
            model_data_url=None,
        )
        environment = {**spec.environment, **changes.pop("environment", {})}
        return dataclasses.replace(spec, environment=environment, **changes)

    def tensorflow(self, mode: str = "ok", **environment: str) -> InstanceSpec:
        """Ask for a fork of the zygote."""
        return InstanceSpec(
            endpoint_name="unet",
            variant_name="AllTraffic",
            instance_type="ml.g4dn.16xlarge",
            image="registry/tensorflow-inference:2.19",
            environment={"MODE": mode, **environment},
            model_data_url=self.model(),
        )

    def model(self, key: str = "model.tar.gz") -> str:
        """Upload a model; return its address."""
        body = self.archives.tar_gz({"weights.bin": b"weights"})
        return str(self.s3.put("bucket", key, body))

    async def start(self, spec: InstanceSpec) -> Instance:
        return await self.fleet.start(spec, self.note)

    def note(self, instance: Instance) -> None:
        self.changes.append((instance.id, instance.is_healthy))

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.environ().get(MARK_VARIABLE) == self.generation
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found


Story = Callable[[Cloud], Awaitable[None]]
Play = Callable[[Story], None]


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
# For what depends on how a loop starts processes, passes descriptors and reads pipes.
on_both_loops = pytest.mark.parametrize("loop_name", list(LOOPS))


@pytest.fixture
def loop_name() -> str:
    return "uvloop"


@pytest.fixture
def play(
    loop_name: str,
    tmp_path: Path,
    socket_dir: Path,
    s3: Any,
    archives: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Play:
    """Play a story on an open fleet; afterwards no process of it may be left."""
    monkeypatch.setattr(limits, "RESTART_BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(limits, "PING_INTERVAL_SERVING_S", 0.02)
    home = Home(tmp_path / "home")
    home.prepare()
    script = tmp_path / "server.py"
    script.write_text(SERVER)

    def run(story: Story) -> None:
        async def whole() -> Cloud:
            async with opened(Cloud(home, s3, archives, socket_dir, script)) as cloud:
                await story(cloud)
            return cloud

        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            cloud = runner.run(whole())
        assert cloud.processes() == []

    return run


@contextlib.asynccontextmanager
async def opened(cloud: Cloud) -> AsyncIterator[Cloud]:
    cloud.fleet.open()
    try:
        yield cloud
    finally:
        await cloud.fleet.close()
        # What was killed takes the kernel a moment to take down.
        with contextlib.suppress(TimeoutError, AssertionError):
            await wait_until(lambda: not cloud.processes(), "all have ended")
        left = cloud.processes()
        await cloud.supervisor.stop_all(grace_s=0)
        cloud.supervisor.close()
        _kill_marked(cloud.generation)
        assert left == [], "close() ends everything by itself"


async def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        await asyncio.sleep(0.005)


async def fetch(address: str, path: str = "/ping") -> dict[str, Any]:
    _, host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    body = answer.partition(b"\r\n\r\n")[2]
    told: dict[str, Any] = json.loads(body or b"{}")
    return told


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
        below = psutil.Process(instance.root_pid).children(recursive=True)
        assert any(str(cloud.script) in process.cmdline() for process in below)
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
        for turns in range(0, 60, 4):
            starting = asyncio.create_task(cloud.start(cloud.tensorflow("sick")))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting

        # The zygote and the one that was wanted.
        assert len(cloud.processes()) == 2
        assert cloud.fleet.statistics().instance_count == 1

    play(story)


def test_instances_that_start_together_share_one_download(play: Play) -> None:
    """Four instances of a large model fetch it once."""

    async def story(cloud: Cloud) -> None:
        await asyncio.gather(*(cloud.start(cloud.tensorflow()) for _ in range(4)))
        await cloud.start(cloud.tensorflow())

        gets = [path for method, path in cloud.s3.requests if method == "GET"]
        assert gets == ["/bucket/model.tar.gz"]

    play(story)


def test_what_was_uploaded_anew_is_fetched_anew(play: Play) -> None:
    """A new version under the old name is what new instances get."""

    async def story(cloud: Cloud) -> None:
        spec = cloud.command(model_data_url=cloud.model())
        first = await cloud.start(spec)
        cloud.s3.put("bucket", "model.tar.gz", cloud.archives.tar_gz({"other.bin": b"new"}))
        second = await cloud.start(spec)

        told = [await fetch(each.addresses[0]) for each in (first, second)]
        assert [each["files"] for each in told] == [["weights.bin"], ["other.bin"]]

    play(story)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://bucket/none.tar.gz", "There is no object at s3://bucket/none.tar.gz"),
        ("s3://bucket/bad.tar.gz", "The archive s3://bucket/bad.tar.gz cannot be used"),
        ("https://example.com/x/y", "is not the address of an S3 object"),
        (None, "The model has no ModelDataUrl"),
    ],
)
def test_model_data_that_cannot_be_had_fails_the_start(
    play: Play, url: str | None, reason: str
) -> None:
    """The reason is the archive's, not the container's, and nothing was started for it."""

    async def story(cloud: Cloud) -> None:
        cloud.s3.put("bucket", "bad.tar.gz", b"not an archive")
        spec = dataclasses.replace(cloud.tensorflow(), model_data_url=url)
        with pytest.raises(StartFailedError, match=reason):
            await cloud.start(spec)

        assert not (cloud.home.logs / "endpoints/unet").exists()

    play(story)


@on_both_loops
def test_a_download_given_up_by_one_serves_the_others(play: Play) -> None:
    """An endpoint deleted while it waits does not spoil its neighbour's download."""

    async def story(cloud: Cloud) -> None:
        go_on = threading.Event()
        cloud.s3.hold = go_on.wait
        starts = [asyncio.create_task(cloud.start(cloud.tensorflow())) for _ in range(2)]
        await wait_until(lambda: ("GET", "/bucket/model.tar.gz") in cloud.s3.requests, "asked")
        starts[0].cancel()
        await asyncio.wait({starts[0]})
        go_on.set()

        assert (await starts[1]).is_healthy

    play(story)


def test_closing_during_a_download_fails_the_start(play: Play) -> None:
    """`up` ends promptly while gigabytes are on their way."""

    async def story(cloud: Cloud) -> None:
        go_on = threading.Event()
        cloud.s3.hold = go_on.wait
        starting = asyncio.create_task(cloud.start(cloud.tensorflow()))
        await wait_until(lambda: ("GET", "/bucket/model.tar.gz") in cloud.s3.requests, "asked")
        await cloud.fleet.close()
        go_on.set()

        with pytest.raises(StartFailedError, match="The cloud is ending"):
            await starting
        with pytest.raises(StartFailedError, match="The cloud is ending"):
            await cloud.start(cloud.command())

    play(story)


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
