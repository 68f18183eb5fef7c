"""A local cloud for as long as something needs it: `windtunnel up` as a child process."""

import contextlib
import fcntl
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cli.env import exports, unsets
from windtunnel.core.errors import NotReadyError
from windtunnel.core.home import CloudRecord, Home
from windtunnel.core.lifeline import LIFELINE_VARIABLE, PARENT_VARIABLE

# A cold Python with botocore's models takes two seconds; a loaded machine is given time.
_READY_TIMEOUT_S = 60.0
_RECORD_POLL_INTERVAL_S = 0.02
# `up` itself gives requests in flight 5 s and instances 30 s to end.
_STOP_TIMEOUT_S = 45.0


@dataclass(frozen=True)
class CloudProcess:
    """A running local cloud."""

    home: Home
    url: str
    process: subprocess.Popen[bytes]

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment in which any AWS client lands in this cloud."""
        environment = dict(os.environ if base is None else base)
        for name in unsets():
            environment.pop(name, None)
        return {**environment, **exports(self.home, self.url, self.home.running().region)}


@contextlib.contextmanager
def running_cloud(home: Home, *options: str, log: Path | None = None) -> Iterator[CloudProcess]:
    """Run `windtunnel up` on a free port until the block ends; its log goes to `log` or stderr.

    It ends with this process, too, however that ends.
    """
    # The parent-death signal follows the thread that starts a process.
    assert threading.current_thread() is threading.main_thread()
    home.prepare()
    with contextlib.ExitStack() as stack:
        lifeline, held = os.pipe()
        stack.callback(os.close, held)
        errors = stack.enter_context(log.open("ab")) if log is not None else None
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "windtunnel",
                "up",
                "--home",
                str(home.path),
                "--port",
                "0",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={
                **os.environ,
                LIFELINE_VARIABLE: str(lifeline),
                PARENT_VARIABLE: str(os.getpid()),
            },
            pass_fds=(lifeline,),
            # Ctrl-C in the terminal is for what runs inside; the cloud is ended below.
            start_new_session=True,
        )
        os.close(lifeline)
        try:
            yield CloudProcess(home, _wait_ready(process, log), process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _wait_ready(process: subprocess.Popen[bytes], log: Path | None) -> str:
    """Return the URL of the line `ready URL`, or say why it did not come."""
    assert process.stdout is not None
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(
        target=lambda stream: lines.put(stream.readline()), args=(process.stdout,), daemon=True
    ).start()
    try:
        line = lines.get(timeout=_READY_TIMEOUT_S).decode()
    except queue.Empty:
        line = ""
    word, _, url = line.strip().partition(" ")
    if word != "ready":
        reason = "it said nothing on stdout"
        if log is not None:
            said = log.read_text(errors="replace").strip().splitlines()
            reason = said[-1] if said else reason
        raise NotReadyError(f"The local cloud did not start: {reason}")
    return url


@contextlib.contextmanager
def used_cloud(home: Home, say: Callable[[str], None], *options: str) -> Iterator[CloudRecord]:
    """Use the cloud of a home; where none is up, run one until nobody uses it any more.

    The options are `up`'s, for a cloud that is started. Several may do so at once: one of them
    starts it, and that one ends it after the others.
    """
    home.prepare()
    with contextlib.ExitStack() as stack:
        with _lock(home.start_lock, fcntl.LOCK_EX):
            record = _record_of_running(home)
            if record is None:
                stack.enter_context(_shared_cloud(home, say, *options))
                record = home.running()
            stack.enter_context(_lock(home.use_lock, fcntl.LOCK_SH))
        yield record


def _record_of_running(home: Home) -> CloudRecord | None:
    """Return where a cloud answers, waiting for one that is starting; None when none is up."""
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while home.is_locked() and time.monotonic() < deadline_s:
        record = home.record()
        if record is not None:
            return record
        time.sleep(_RECORD_POLL_INTERVAL_S)
    return None


@contextlib.contextmanager
def _shared_cloud(home: Home, say: Callable[[str], None], *options: str) -> Iterator[None]:
    log = home.logs / "run.log"
    log.unlink(missing_ok=True)
    with contextlib.ExitStack() as after, running_cloud(home, *options, log=log):
        try:
            yield
        finally:
            # Held until the cloud has ended: who comes meanwhile starts the next one.
            after.enter_context(_unused(home, say))


@contextlib.contextmanager
def _unused(home: Home, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the start lock at a moment when nobody uses the cloud."""
    has_said = False
    while True:
        with _lock(home.start_lock, fcntl.LOCK_EX):
            try:
                with _lock(home.use_lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    pass
            except BlockingIOError:
                pass
            else:
                yield
                return
        if not has_said:
            say("Another `run` still uses the cloud that this one started: waiting for it.")
            has_said = True
        with _lock(home.use_lock, fcntl.LOCK_EX):
            pass


@contextlib.contextmanager
def _lock(path: Path, how: int) -> Iterator[None]:
    """Hold a file's lock; the kernel lets go however this process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
