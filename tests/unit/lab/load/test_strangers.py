"""A master and those who come to it and cannot take part, in Locust's own protocol.

There are no clocks by namespace, so a worker whose clock is wrong is played by a small program.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windtunnel import __version__
from windtunnel.core.home import Home

if TYPE_CHECKING:
    from tests.unit.lab.conftest import FakeAws, Ran

    Command = Callable[..., Ran]

pytestmark = pytest.mark.slow

# Says what a worker says, with a version and a clock of its own, until it is told to go.
_STRANGER = """
import sys, time, gevent
from locust import __version__
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import Client
port, version, ahead_s = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
client = Client("127.0.0.1", port, "stranger")
def say(kind, words):
    client.send(Message(kind, words, "stranger"))
def beat():
    while True:
        say("heartbeat", {"state": "ready", "current_cpu_usage": 0})
        gevent.sleep(1)
me = {"host": "elsewhere", "pid": 4711}
say("client_ready", __version__)
gevent.spawn(beat)
say("windtunnel-hello", {"version": version, **me})
while (message := client.recv()).type != "quit":
    if message.type == "windtunnel-orders":
        say("windtunnel-ready", me)
    elif message.type == "windtunnel-ping":
        say("windtunnel-pong", {**message.data, "epoch_s": time.time() + ahead_s})
    elif message.type in {"windtunnel-refused", "windtunnel-begin"}:
        print(message.type, message.data, flush=True)
"""


@pytest.fixture
def port() -> int:
    """Return a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found: int = server.getsockname()[1]
    return found


@pytest.fixture
def master(
    windtunnel: "Command",
    in_service: str,
    payload_file: Path,
    tmp_path: Path,
    port: int,
) -> "Command":
    """Return a function that runs a master of one worker."""

    def run(*words: object) -> "Ran":
        return windtunnel(
            *("load", in_service, "--payload", payload_file, "--out", tmp_path / "run"),
            *("--users", 1, "--duration", "10m", "--master", "--workers", 1),
            *("--bind-host", "127.0.0.1", "--master-port", port, *words),
        )

    return run


def _stranger(port: int, version: str, ahead_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _STRANGER, str(port), version, str(ahead_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("ahead_s", "where"), [(30.0, "30 s ahead of"), (-3600.0, "1 h behind"), (2.5, "s ahead of")]
)
def test_a_worker_with_a_wrong_clock_is_refused_before_anything_is_sent(
    master: "Command", aws: "FakeAws", port: int, ahead_s: float, where: str
) -> None:
    """It would send its part of the load at another time, and call it the same."""
    stranger = _stranger(port, __version__, ahead_s)

    ran = master()
    said, complaint = stranger.communicate(timeout=60)

    assert ran.code == 4, ran.err
    assert "The clock of process 4711 on elsewhere is " in ran.err
    assert f"{where} this machine's: set both by NTP. Nothing was sent." in ran.err
    assert "Traceback" not in ran.err
    assert said == "", complaint
    assert "InvokeEndpoint" not in aws.actions()


def test_a_worker_of_another_version_is_turned_away_and_the_master_says_so(
    master: "Command", aws: "FakeAws", port: int
) -> None:
    """Two versions may count differently; and who waits for the worker must learn why it goes."""
    stranger = _stranger(port, "0.0.0", 0.0)

    ran = master("--workers-timeout", "6s")
    said, _ = stranger.communicate(timeout=60)

    why = f"it runs Windtunnel 0.0.0, the master {__version__}"
    assert ran.code == 4
    assert f"worker    process 4711 on elsewhere was turned away: {why}: 0 of 1 are here" in ran.err
    assert "0 of 1 workers were here within 6 s (none)" in ran.err
    assert said == f"windtunnel-refused {{'why': '{why}'}}\n"


def test_a_worker_that_means_another_endpoint_sends_nothing_and_both_sides_say_so(
    master: "Command", home: Home, aws: "FakeAws", port: int
) -> None:
    """A pod of yesterday's test must not put today's load on the wrong model."""
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "windtunnel", "load", "other", "--worker"),
            *("--master-host", "127.0.0.1", "--master-port", str(port)),
        ],
        env={**os.environ, "WINDTUNNEL_HOME": str(home.path)},
        stderr=subprocess.PIPE,
        text=True,
    )

    ran = master("--workers-timeout", "6s")
    _, said = worker.communicate(timeout=60)

    why = "the master sends to endpoint unet, not to other"
    assert (ran.code, worker.returncode) == (4, 4)
    assert f"declined, as {why}: 0 of 1 are here" in ran.err
    assert f"worker    turned away: {why}" in said
    assert "Traceback" not in said
    assert "InvokeEndpoint" not in aws.actions()


def test_a_worker_that_finds_no_master_says_that_it_waits_and_gives_up_when_told_to(
    windtunnel: "Command", aws: "FakeAws", port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong port is found out by whoever reads the worker's log, not by an hour of silence."""
    monkeypatch.setattr("windtunnel.lab.load.workers._REMINDER_PERIOD_S", 2.0)

    began_s = time.monotonic()
    ran = windtunnel(
        *("load", "--worker", "--master-host", "127.0.0.1", "--master-port", port),
        *("--workers-timeout", "3s"),
    )

    assert ran.code == 4, ran.err
    assert f"no master at 127.0.0.1:{port} yet: waiting for 2 s of 3 s" in ran.err
    assert f"no master answered at 127.0.0.1:{port} within 3 s: gave up" in ran.err
    assert "Traceback" not in ran.err
    assert 3 <= time.monotonic() - began_s < 30


@pytest.mark.parametrize("name", ["nohost.invalid", "no..host"])
def test_a_master_whose_name_leads_nowhere_is_refused_at_once(
    windtunnel: "Command", name: str
) -> None:
    """A typing mistake must not look like a master that is late."""
    ran = windtunnel("load", "--worker", "--master-host", name)

    assert ran.code == 4
    assert f"--master-host {name} is no host that is known" in ran.err


@dataclass
class Waiting:
    """A master of two workers, of which one is there, and that one."""

    process: subprocess.Popen[str]
    stranger: subprocess.Popen[str]
    out: Path
    seen: str = ""

    def read_until(self, text: str) -> None:
        """Read what the master says until it says something."""
        assert self.process.stderr is not None
        while text not in self.seen:
            line = self.process.stderr.readline()
            assert line, self.seen
            self.seen += line


@pytest.fixture
def waiting(
    master: "Command", home: Home, payload_file: Path, tmp_path: Path, port: int
) -> Iterator[Waiting]:
    """Return a master that waits for its second worker."""
    out = tmp_path / "run"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "windtunnel", "load", "unet", "--payload", str(payload_file)),
            *("--out", str(out), "--users", "2", "--duration", "10m", "--master"),
            *("--workers", "2", "--bind-host", "127.0.0.1", "--master-port", str(port)),
        ],
        env={**os.environ, "WINDTUNNEL_HOME": str(home.path)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    made = Waiting(process, _stranger(port, __version__, 0.0), out)
    made.read_until("process 4711 on elsewhere is ready: 1 of 2 are here")
    yield made
    for each in (made.stranger, process):
        each.kill()
        each.communicate(timeout=60)


def test_an_interrupt_while_workers_are_waited_for_is_no_run(waiting: Waiting) -> None:
    """Nothing was measured: a directory that says so is one more thing to clean up."""
    waiting.process.send_signal(signal.SIGINT)
    said, complaint = waiting.process.communicate(timeout=60)

    assert waiting.process.returncode == 130, complaint
    assert "interrupted before anything was sent" in complaint
    assert "Traceback" not in complaint
    assert said == ""
    assert list(waiting.out.iterdir()) == []
    # The worker that was there is sent home.
    assert waiting.stranger.wait(timeout=60) == 0


def test_a_worker_that_was_silent_before_the_run_is_counted_again_when_it_is_back(
    waiting: Waiting,
) -> None:
    """A laptop's lid, a network's hiccup: forgotten for ever, its run would never begin."""
    waiting.stranger.send_signal(signal.SIGSTOP)
    waiting.read_until("process 4711 on elsewhere left: 0 of 2 are here")

    waiting.stranger.send_signal(signal.SIGCONT)

    waiting.read_until("process 4711 on elsewhere is back: 1 of 2 are here")
