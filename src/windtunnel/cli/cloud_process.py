"""A local cloud for as long as something needs it: `windtunnel up` as a child process."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cli.env import exports, unsets
from windtunnel.core.errors import NotReadyError
from windtunnel.core.home import Home

# A cold Python with botocore's models takes two seconds; a loaded machine is given time.
_READY_TIMEOUT_S = 60.0
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
    """Run `windtunnel up` on a free port until the block ends; its log goes to `log` or stderr."""
    home.prepare()
    with contextlib.ExitStack() as stack:
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
            # Ctrl-C in the terminal is for what runs inside; the cloud is ended below.
            start_new_session=True,
        )
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
