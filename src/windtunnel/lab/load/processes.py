"""Load processes on this machine: started anew, tied to this one, given credentials that last.

Credentials that expire during the run are renewed here and handed to every process before they do.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict
from typing import Protocol

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import WindtunnelError
from windtunnel.core.supervision import Supervisor, new_generation

_READ_BYTES = 65_536
# What a load process said on stderr, to be quoted when it fails.
_COMPLAINT_LINES_MAX = 20
# From SIGTERM to SIGKILL, when everything was written and a process still stands.
_STOP_GRACE_S = 5.0


class Signer(Protocol):
    """Whose requests they are; credentials that can be renewed are, when asked for."""

    def credentials_expire_within(self, span_s: float) -> bool:
        """Say whether credentials that can be renewed should be."""
        ...

    def signing_credentials(self) -> sigv4.Credentials:
        """Return the credentials as they are now, renewed where they must be."""
        ...


class LoadProcesses:
    """Those that one command started."""

    def __init__(self, signer: Signer) -> None:
        # Why credentials could not be renewed, if so.
        self.warnings: list[str] = []
        self._signer = signer
        self.credentials = signer.signing_credentials()
        # What load processes read their orders from.
        self._pipes: list[int] = []
        self._supervisor = Supervisor(new_generation("load"))
        self._complaints: list[str] = []
        self._readers: set[asyncio.Task[None]] = set()

    async def start(self, role: str, first_line: str, *words: str) -> Process:
        """Start a process; its orders are the first line that it reads, credentials what follows.

        What it says on stdout is for the caller to read.
        """
        read_end, write_end = os.pipe()
        # Whoever does not read must not keep the others waiting; the first line may be longer than
        # a pipe holds, and a process that was just started does read.
        try:
            process = await self._supervisor.start(
                [
                    sys.executable,
                    *("-m", "windtunnel.lab.load.generator", role, str(read_end), *words),
                ],
                environment=_environment(),
                output=PIPE,
                descriptors=[read_end],
                line_bytes_max=limits.LOAD_LINE_BYTES_MAX,
            )
        finally:
            os.close(read_end)
        with contextlib.suppress(BrokenPipeError):
            await asyncio.to_thread(_write_all, write_end, f"{first_line}\n".encode())
        os.set_blocking(write_end, False)
        # Renewed credentials go to the pipes that are listed.
        self._pipes.append(write_end)
        assert process.stderr is not None
        self.listen(process.stderr)
        return process

    def listen(self, stream: asyncio.StreamReader) -> None:
        """Keep what a process says there, to be quoted when it fails."""

        async def read() -> None:
            async for line in stream:
                self._complaints.append(line.decode("utf-8", "replace").rstrip())
                del self._complaints[: -10 * _COMPLAINT_LINES_MAX]

        self._readers.add(asyncio.create_task(read()))

    def ignore(self, stream: asyncio.StreamReader) -> None:
        """Read what a process says there, so that it can go on."""

        async def read() -> None:
            while await stream.read(_READ_BYTES):
                pass

        self._readers.add(asyncio.create_task(read()))

    async def renew(self) -> None:
        """Renew credentials before they expire, for as long as this runs."""
        while True:
            await asyncio.sleep(limits.CREDENTIALS_CHECK_S)
            if not self._signer.credentials_expire_within(limits.CREDENTIALS_RENEWAL_S):
                continue
            try:
                # It may run a program, or ask a service.
                fresh = await asyncio.to_thread(self._signer.signing_credentials)
            except WindtunnelError as error:
                warning = f"The credentials could not be renewed during the run: {error}"
                if warning not in self.warnings:
                    self.warnings.append(warning)
                continue
            if fresh != self.credentials:
                self.credentials = fresh
                for pipe in self._pipes:
                    _tell(pipe, json.dumps(asdict(fresh)))

    async def stop(self) -> None:
        """End all of them."""
        await self._supervisor.stop_all(_STOP_GRACE_S)
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes.clear()

    def end_of(self, process: Process) -> str:
        """Return how a process ended."""
        status = process.returncode
        if status is not None and status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def complaint(self) -> str:
        """Return the last of what they said on stderr, each line on one of its own."""
        return "".join(f"\n{line}" for line in self._complaints[-_COMPLAINT_LINES_MAX:])


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def _tell(pipe: int, line: str) -> None:
    """Write a line to a load process: a few kilobytes, of which a pipe holds 64."""
    # One that has ended, or reads no more, is lost to the run already, which notices it elsewhere.
    with contextlib.suppress(BrokenPipeError, BlockingIOError):
        os.write(pipe, f"{line}\n".encode())


def _environment() -> dict[str, str]:
    """Return the environment of a load process: this one's, less what leads Locust elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
