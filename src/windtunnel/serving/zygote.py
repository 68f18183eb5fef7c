"""The process that has TensorFlow imported and forks containers, for a cloud that starts many.

Started as `python -m windtunnel.serving.zygote --control-fd N`. On the control socket, lines of
JSON:

    in    {"start": id, "model_dir", "environment": {}, "socket_dir", "cache_dir", "cpus": [],
          "nice"}
          with two descriptors (SCM_RIGHTS): the container's log, and where it reports
    out   {"event": "warm"} once, when forks can be had; or {"event": "failed", "reason"}
          {"event": "started", "id", "pid"}, {"event": "exited", "id", "pid", "status"}

A container reports on its own descriptor: {"event": "listening", "addresses"}, {"event": "failed",
"reason"}, {"event": "restarted", "server", "status"}. It is signalled by its pid, which is also its
process group. The end of the control socket ends the zygote, and its end kills its forks.

Rule: nothing here runs an operation of an engine, opens a file that stays open, or starts a thread:
a fork inherits all of it, and waits for ever for the lock of a thread that it does not have.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from windtunnel.core import limits
from windtunnel.core.lifeline import MARK_VARIABLE, die_with_parent, join_parent
from windtunnel.core.supervision import kill_group
from windtunnel.serving.children import (
    Reports,
    Wakeups,
    close_descriptors,
    flush_output,
    fork_with_own_signals,
    thread_count,
    wait_readable,
)
from windtunnel.serving.errors import ServingError

# What libraries read when they are imported, so that it must be there before.
ENVIRONMENT: Mapping[str, str] = {
    # numpy's BLAS starts a thread for each core with its import; no model here runs on it.
    "OPENBLAS_NUM_THREADS": "1",
    # Warnings and errors; not a line for each library that was found.
    "TF_CPP_MIN_LOG_LEVEL": "1",
}
# Variables that are read when TensorFlow is imported. A container that sets one gets an import of
# its own instead of a fork that would not notice.
_IMPORT_PREFIXES = ("TF_", "XLA_", "DNNL_", "ONEDNN_", "KMP_")
_DESCRIPTORS_EACH = 2


@dataclass(frozen=True, slots=True)
class StartOrder:
    """One container to fork, and the two descriptors that came with it."""

    id: str
    model_dir: Path
    environment: Mapping[str, str]
    socket_dir: Path
    cache_dir: Path
    cpus: tuple[int, ...]
    nice: int
    log: int
    status: int


class Folders(NamedTuple):
    """Where a container's files are."""

    model: Path
    sockets: Path
    cache: Path


class Zygote:
    """The loop that forks on demand and tells of its forks' ends."""

    def __init__(self, control: socket.socket, lifeline: int | None) -> None:
        self._control = control
        self._lifeline = lifeline
        self._wakeups = Wakeups(signal.SIGCHLD, signal.SIGTERM)
        self._received = b""
        self._descriptors: list[int] = []
        self._ids: dict[int, str] = {}
        # Each fork holds the reading end; its end of file is this process's.
        self._fork_lifeline, self._lifeline_held = os.pipe()

    def run(self) -> None:
        """Serve until the control socket ends."""
        self._send({"event": "warm"})
        watched = {self._control.fileno(), self._wakeups.descriptor}
        if self._lifeline is not None:
            watched.add(self._lifeline)
        while True:
            ready = wait_readable(watched, None)
            if self._lifeline in ready or signal.SIGTERM in self._wakeups.read():
                return
            self._reap()
            if self._control.fileno() in ready and not self._receive():
                return

    def _receive(self) -> bool:
        """Take what came on the control socket; say no at its end."""
        data, descriptors, _, _ = socket.recv_fds(
            self._control, limits.ZYGOTE_LINE_BYTES_MAX, _DESCRIPTORS_EACH
        )
        self._descriptors += descriptors
        self._received += data
        if not data or len(self._received) > limits.ZYGOTE_LINE_BYTES_MAX:
            return False
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return True

    def _obey(self, message: Mapping[str, Any]) -> None:
        log, status, *self._descriptors = self._descriptors
        order = StartOrder(
            id=message["start"],
            model_dir=Path(message["model_dir"]),
            environment=message["environment"],
            socket_dir=Path(message["socket_dir"]),
            cache_dir=Path(message["cache_dir"]),
            cpus=tuple(message["cpus"]),
            nice=message["nice"],
            log=log,
            status=status,
        )
        zygote_pid = os.getpid()
        pid = fork_with_own_signals()
        if pid == 0:
            _become_container(order, zygote_pid, self._fork_lifeline)
        os.close(log)
        os.close(status)
        self._ids[pid] = order.id
        self._send({"event": "started", "id": order.id, "pid": pid})

    def _reap(self) -> None:
        while self._ids:
            pid, raw = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            # Its model servers die with it by the kernel's doing; where that does not exist, so.
            kill_group(pid)
            status = os.waitstatus_to_exitcode(raw)
            self._send({"event": "exited", "id": self._ids.pop(pid), "pid": pid, "status": status})

    def _send(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(message).encode() + b"\n")


def _become_container(order: StartOrder, zygote_pid: int, lifeline: int) -> NoReturn:
    """Turn this fresh fork into the leader of a container."""
    status = 1
    try:
        os.setsid()
        die_with_parent(zygote_pid)
        os.dup2(order.log, 1)
        os.dup2(order.log, 2)
        close_descriptors(except_for=(order.status, lifeline))
        _take_place(order)
        if needs_own_import(order.environment):
            _exec_container(order, lifeline)
        folders = Folders(order.model_dir, order.socket_dir, order.cache_dir)
        status = lead(folders, order.status, lifeline)
    except BaseException:  # noqa: BLE001 - nothing may climb into the zygote's stack
        sys.excepthook(*sys.exc_info())
    finally:
        flush_output()
        os._exit(status)


def _take_place(order: StartOrder) -> None:
    """Take the environment, the cores and the priority of the container."""
    mark = os.environ.get(MARK_VARIABLE)
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    os.environ.update(order.environment)
    # Not a choice: a container's first process forks, so it must not have threads.
    os.environ["OPENBLAS_NUM_THREADS"] = ENVIRONMENT["OPENBLAS_NUM_THREADS"]
    if mark is not None:
        os.environ[MARK_VARIABLE] = mark
    if order.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, order.cpus)
    os.setpriority(os.PRIO_PROCESS, 0, order.nice)


def needs_own_import(environment: Mapping[str, str]) -> bool:
    """Say whether variables are set that a fork of an imported TensorFlow would not notice."""
    return any(name.startswith(_IMPORT_PREFIXES) for name in environment)


def _exec_container(order: StartOrder, lifeline: int) -> NoReturn:
    """Replace this process by one that imports TensorFlow with the environment it has now."""
    for descriptor in (order.status, lifeline):
        os.set_inheritable(descriptor, True)
    options = (
        f"--model-dir={order.model_dir}",
        f"--socket-dir={order.socket_dir}",
        f"--cache-dir={order.cache_dir}",
        f"--status-fd={order.status}",
        f"--lifeline-fd={lifeline}",
    )
    program = [sys.executable, "-I", "-m", "windtunnel.serving.zygote", *options]
    os.execv(sys.executable, program)  # noqa: S606 - a list of ours, without a shell


def lead(folders: Folders, status: int, lifeline: int | None) -> int:
    """Run a container in this process; return its exit status."""
    from windtunnel.serving.container import Order
    from windtunnel.serving.logs import configure_logs
    from windtunnel.serving.modes import run_order

    configure_logs()
    reports = Reports(status)
    try:
        order = Order(folders.model, os.environ, folders.sockets, folders.cache)
        return run_order(order, reports, lifeline)
    except ServingError as error:
        print(f"The container cannot start: {error}", file=sys.stderr)  # noqa: T201 - its log
        reports.send("failed", reason=str(error))
        return 1


def _warm(control: socket.socket, lifeline: int | None) -> int:
    """Import everything that a container needs, then fork on demand."""
    # Read by the libraries when they are loaded, which is now: numpy comes with the next line.
    os.environ.update(ENVIRONMENT)
    from windtunnel.serving.container import import_engines

    import_engines(for_scripts=True, for_compiled=True)
    count = thread_count()
    if count not in {None, 1}:
        reason = f"Importing TensorFlow left {count} threads: it cannot be forked."
        control.sendall(json.dumps({"event": "failed", "reason": reason}).encode() + b"\n")
        return 1
    Zygote(control, lifeline).run()
    return 0


def main(arguments: Iterable[str]) -> int:
    """Run a zygote, or with the options of a single container, that container."""
    parser = argparse.ArgumentParser(prog="windtunnel.serving.zygote")
    parser.add_argument("--control-fd", type=int)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--socket-dir", type=Path)
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--status-fd", type=int)
    parser.add_argument("--lifeline-fd", type=int)
    options = parser.parse_args(list(arguments))
    if options.control_fd is None:
        os.set_inheritable(options.status_fd, False)
        os.set_inheritable(options.lifeline_fd, False)
        folders = Folders(options.model_dir, options.socket_dir, options.cache_dir)
        return lead(folders, options.status_fd, options.lifeline_fd)
    lifeline = join_parent()
    # A terminal's Ctrl-C is for the cloud, which then ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _warm(socket.socket(fileno=options.control_fd), lifeline)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
