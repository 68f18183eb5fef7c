"""Hosts of a network of their own on this machine: one network namespace each, joined by a bridge.

A worker elsewhere is a process that reaches its master and the endpoint by addresses only; what
would work through loopback alone fails here as it fails between machines. It takes root.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from tests import processes

_PREFIX = "windtunnel"
# Anything here is done in a few seconds; on a busy machine it takes longer, and a test that waits
# for what never comes says what it saw.
_PATIENCE_S = 40.0


@dataclass
class Command:
    """A `windtunnel` command that runs on a host."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def err(self) -> str:
        """What it said on stderr so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until it says something on stderr."""
        wait_until(lambda: text in self.err, lambda: f"{text!r} did not come:\n{self.err}")

    def end(self) -> int:
        """Wait until it has ended; return its exit status."""
        try:
            return self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.err}") from None

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def load_processes(self) -> list[psutil.Process]:
        """Return the load processes that it started."""
        return processes.below(self.process.pid, "windtunnel.lab.load.generator")


@dataclass
class Host:
    """One host: a network namespace with an address."""

    namespace: str
    address: str
    logs: Path
    commands: list[Command] = field(default_factory=list)

    def start(self, *words: object) -> Command:
        """Start `windtunnel` with these words there."""
        log = self.logs / f"{self.namespace}-{len(self.commands)}.err"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.namespace),
                    *(sys.executable, "-m", "windtunnel", *map(str, words)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        command = Command(process, log)
        self.commands.append(command)
        return command


@contextmanager
def hosts(count: int, logs: Path) -> Iterator[list[Host]]:
    """Make hosts at 10.77.0.1, .2 and so on; take them down with all that runs there."""
    if os.geteuid() != 0:
        pytest.skip("making network namespaces takes root")
    _sweep()
    made = [
        Host(f"{_PREFIX}-{os.getpid()}-{number}", f"10.77.0.{number}", logs)
        for number in range(1, count + 1)
    ]
    try:
        try:
            _join(made)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            pytest.skip(f"network namespaces cannot be made here: {said.strip()}")
        yield made
    finally:
        for host in made:
            _take_down(host.namespace)
            for command in host.commands:
                command.process.wait(_PATIENCE_S)


def wait_until(is_so: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait for a condition; fail with what `otherwise` says when it does not come."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, otherwise()
        time.sleep(0.05)


def _join(made: list[Host]) -> None:
    """Join all hosts by a bridge on the first one."""
    first, *others = made
    for host in made:
        _ip("netns", "add", host.namespace)
        _ip("-n", host.namespace, "link", "set", "lo", "up")
    _ip("-n", first.namespace, "link", "add", "bridge", "type", "bridge")
    _ip("-n", first.namespace, "addr", "add", f"{first.address}/24", "dev", "bridge")
    _ip("-n", first.namespace, "link", "set", "bridge", "up")
    for number, host in enumerate(others):
        ours = f"to{number}"
        _ip(
            *("-n", first.namespace, "link", "add", ours, "type", "veth"),
            *("peer", "name", "eth0", "netns", host.namespace),
        )
        _ip("-n", first.namespace, "link", "set", ours, "master", "bridge", "up")
        _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _ip("-n", host.namespace, "link", "set", "eth0", "up")


def _sweep() -> None:
    """Take down what a test run left behind that was killed."""
    listed = subprocess.run(["ip", "netns", "list"], check=False, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        prefix, _, rest = line.split()[0].partition("-")
        pid = rest.partition("-")[0]
        if prefix == _PREFIX and pid.isdigit() and not psutil.pid_exists(int(pid)):
            _take_down(line.split()[0])


def _take_down(namespace: str) -> None:
    """End everything that runs in a namespace, which is ours alone, and remove it."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while (pids := _pids(namespace)) and time.monotonic() < deadline_s:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def _pids(namespace: str) -> list[int]:
    """Return what runs in a namespace: zombies have left theirs."""
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], check=False, capture_output=True, text=True
    )
    return [int(word) for word in listed.stdout.split()]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
