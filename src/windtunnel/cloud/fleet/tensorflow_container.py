"""A container with our own model servers: a fork of the zygote.

Its leader writes lines of JSON to the status descriptor:

    {"event": "listening", "addresses": ["unix:/….sock", …]}   where its model servers answer
    {"event": "failed", "reason": …}                           it can never serve this model
    {"event": "restarted", …}                                  it has mended one of its servers
"""

import asyncio
import json
import logging
import os
import shutil
from pathlib import Path
from typing import IO, Any, ClassVar, NamedTuple

from windtunnel.cloud.fleet.container import Container, LaunchError
from windtunnel.cloud.fleet.zygote import Fork, Order, Zygote, ZygoteError, ZygoteGivenUpError
from windtunnel.core import limits

# The leader has ended and its group is killed, so the pipe's end is near.
_LAST_WORDS_TIMEOUT_S = 1.0

logger = logging.getLogger(__name__)


class StatusPipe(NamedTuple):
    """The reading end of what a leader says."""

    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport


class TensorflowContainer(Container):
    """A fork of the zygote and what its leader says."""

    is_foreign: ClassVar[bool] = False

    def __init__(self, fork: Fork, pipe: StatusPipe, socket_dir: Path) -> None:
        super().__init__(fork.started.result())
        self._fork = fork
        self._pipe = pipe
        self._socket_dir = socket_dir
        self._listening = asyncio.create_task(self._listen(pipe.reader))
        self._waiting = asyncio.create_task(self._wait_end())

    async def stop(self, grace_s: float) -> None:
        """End the fork and everything it started; remove its sockets."""
        try:
            await self._fork.stop(grace_s)
        finally:
            self._listening.cancel()
            self._waiting.cancel()
            await asyncio.wait({self._listening, self._waiting})
            self._pipe.transport.close()
            shutil.rmtree(self._socket_dir, ignore_errors=True)

    async def _wait_end(self) -> None:
        how = await asyncio.shield(self._fork.ended)
        # Its last words may still be on their way: that it failed, and why, says more than that
        # it ended.
        await asyncio.wait({self._listening}, timeout=_LAST_WORDS_TIMEOUT_S)
        self.end = how
        self.changed()

    async def _listen(self, status: asyncio.StreamReader) -> None:
        try:
            while line := await status.readline():
                self._take(json.loads(line))
        except ValueError:
            # No JSON, or a line without end: only the leader writes here, so it is out of its mind.
            logger.exception("container %s sent nonsense as its status", self._fork.id)
            self.refusal = "its status could not be read"
            self.changed()

    def _take(self, message: dict[str, Any]) -> None:
        if message["event"] == "listening":
            self.addresses = tuple(message["addresses"])
        elif message["event"] == "failed":
            self.refusal = str(message["reason"])
        self.changed()


async def launch(zygote: Zygote, order: Order, log_descriptor: int) -> TensorflowContainer:
    """Start a container; raise `LaunchError` when the zygote has no fork for it."""
    shutil.rmtree(order.socket_dir, ignore_errors=True)
    order.socket_dir.mkdir(mode=0o700)
    status, status_end = os.pipe()
    pipe = await _open_pipe(status)
    try:
        fork = await zygote.fork(order, log_descriptor, status_end)
    except BaseException as error:
        pipe.transport.close()
        shutil.rmtree(order.socket_dir, ignore_errors=True)
        if isinstance(error, ZygoteError):
            is_final = isinstance(error, ZygoteGivenUpError)
            raise LaunchError(str(error), is_final=is_final) from error
        raise
    finally:
        os.close(status_end)
    return TensorflowContainer(fork, pipe, order.socket_dir)


async def _open_pipe(descriptor: int) -> StatusPipe:
    reader = asyncio.StreamReader(limit=limits.STATUS_LINE_BYTES_MAX)
    opening = asyncio.create_task(_connect(reader, os.fdopen(descriptor, "rb", 0)))
    try:
        return StatusPipe(reader, await asyncio.shield(opening))
    except asyncio.CancelledError:
        # uvloop, cancelled in the middle, closes the descriptor but not the file, which closes it
        # again when it is collected: by then it may be somebody else's. So it is let finish first.
        (await opening).close()
        raise


async def _connect(reader: asyncio.StreamReader, file: IO[bytes]) -> asyncio.ReadTransport:
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), file
    )
    return transport
