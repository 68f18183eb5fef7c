"""Forks of one process: how a child starts clean, reports, and learns of its parent's end.

Rules: only a process with a single thread forks; a child keeps no descriptor that it was not given
(its parent's pipes would look alive through it); a child never returns into its parent's stack.
"""

import contextlib
import json
import os
import selectors
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from windtunnel.core import limits
from windtunnel.core.lifeline import die_with_parent

_FIRST_FREE_DESCRIPTOR = 3
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE)


class Reports:
    """Lines of JSON on a descriptor: how a process tells its parent how it fares."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, event: str, **details: Any) -> None:  # noqa: ANN401 - JSON is anything
        """Write one event; a parent that no longer reads is not an error here."""
        message = {"event": event, **details}
        if "reason" in message:
            message["reason"] = str(message["reason"])[: limits.FAILURE_REASON_LENGTH_MAX]
        line = json.dumps(message).encode() + b"\n"
        assert len(line) <= limits.STATUS_LINE_BYTES_MAX
        with contextlib.suppress(OSError):
            os.write(self.descriptor, line)


class ReportLines:
    """The reading end: bytes in, whole events out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the events that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


@dataclass(eq=False)
class Child:
    """A fork, and the pipe on which it reports."""

    pid: int
    reports: int
    lines: ReportLines = field(default_factory=ReportLines)

    def read_reports(self) -> list[dict[str, Any]]:
        """Return the events that are there, without waiting for more."""
        events: list[dict[str, Any]] = []
        while True:
            try:
                data = os.read(self.reports, limits.STATUS_LINE_BYTES_MAX)
            except BlockingIOError:
                return events
            if not data:
                return events
            events += self.lines.feed(data)

    def signal(self, number: int) -> None:
        """Send a signal; the child must not have been reaped yet."""
        os.kill(self.pid, number)

    def close(self) -> None:
        """Let go of the pipe of a child that has ended."""
        os.close(self.reports)


def fork(
    run: Callable[[Reports, int], int],
    *,
    keep: Iterable[int] = (),
    lifeline: int,
) -> Child:
    """Fork a child that runs `run(reports, lifeline)` and exits with what it returns.

    `lifeline` is the reading end of a pipe whose writing end only this process holds.
    """
    assert_single_thread()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    parent_pid = os.getpid()
    pid = fork_with_own_signals()
    if pid == 0:
        _run_child(run, parent_pid, writer, lifeline, frozenset(keep))
    os.close(writer)
    return Child(pid, reader)


def fork_with_own_signals() -> int:
    """Fork; the child has default handlers before a signal can reach it. Return what fork does."""
    flush_output()
    # Otherwise a signal to the young child would run its parent's handlers, which write to its
    # parent's pipe: the parent would take the signal for its own.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    pid = os.fork()
    if pid == 0:
        _reset_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _run_child(
    run: Callable[[Reports, int], int],
    parent_pid: int,
    writer: int,
    lifeline: int,
    keep: frozenset[int],
) -> NoReturn:
    status = 1
    try:
        close_descriptors(except_for={writer, lifeline, *keep})
        die_with_parent(parent_pid)
        status = run(Reports(writer), lifeline)
    except BaseException:  # noqa: BLE001 - nothing may climb into the parent's stack
        sys.excepthook(*sys.exc_info())
    finally:
        flush_output()
        # Not sys.exit: the parent's atexit handlers are not this process's, and an engine's threads
        # do not end by themselves.
        os._exit(status)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    # Python's own choice: a closed socket is an error code, not the end.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def close_descriptors(except_for: Iterable[int]) -> None:
    """Close every descriptor but the standard three and these."""
    first = _FIRST_FREE_DESCRIPTOR
    for kept in sorted(found for found in except_for if found >= first):
        os.closerange(first, kept)
        first = kept + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def thread_count() -> int | None:
    """Return how many threads the kernel counts in this process; None where it cannot say."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return None


def assert_single_thread() -> None:
    """Refuse to fork with threads: the child would wait for ever for locks that they hold."""
    count = thread_count()
    if count not in (None, 1):
        raise RuntimeError(f"This process has {count} threads and cannot fork safely.")


def flush_output() -> None:
    """Write out what Python still holds, so that no fork writes it a second time."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


class Wakeups:
    """Signals as something to select on, for a plain loop of one thread."""

    def __init__(self, *numbers: int) -> None:
        self.descriptor, self._writer = os.pipe()
        for end in (self.descriptor, self._writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in numbers:
            # A handler of Python's must exist for the byte to be written.
            signal.signal(number, lambda *_: None)

    def read(self) -> set[int]:
        """Return the signals that came since the last call."""
        try:
            return set(os.read(self.descriptor, 4096))
        except BlockingIOError:
            return set()


def wait_readable(descriptors: Iterable[int], timeout_s: float | None) -> set[int]:
    """Return those that can be read, after at most `timeout_s` seconds."""
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        return {key.fd for key, _ in selector.select(timeout_s)}
