"""The service: requests from the socket to worker threads, answers back.

Rules: the loop's thread only moves bytes; whatever blocks (disk, SQLite) or computes (hashes) runs
on worker threads. A body waits in memory up to `limits.S3_READ_AHEAD_BYTES_MAX`, then its client
waits. Every failure is an XML error with S3's code; one that nobody foresaw is logged and becomes
InternalError.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

from windtunnel.cloud.foundation.s3 import answers
from windtunnel.cloud.foundation.s3.answers import Answer
from windtunnel.cloud.foundation.s3.attributes import refuse_unoffered
from windtunnel.cloud.foundation.s3.errors import S3Error, not_implemented
from windtunnel.cloud.foundation.s3.intake import plan_of
from windtunnel.cloud.foundation.s3.operations import OPERATIONS
from windtunnel.cloud.foundation.s3.operations.call import Operation
from windtunnel.cloud.foundation.s3.reception import Reception, explained
from windtunnel.cloud.foundation.s3.request import Request, new_request_id
from windtunnel.cloud.foundation.s3.routes import operation_name
from windtunnel.cloud.foundation.s3.storage import Storage
from windtunnel.core import limits
from windtunnel.http.server import Exchange

log = logging.getLogger(__name__)

Arguments = TypeVarTuple("Arguments")
Value = TypeVar("Value")

_MALFORMED = {408: "RequestTimeout", 431: "RequestHeaderSectionTooLarge"}


class _ClientGoneError(Exception):
    """The client went away before its body was whole."""


class _Body:
    """A body between the socket and the worker threads."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._is_paused = False
        self._is_aborted = False
        self._changed = asyncio.Event()
        self._is_ended = False

    def write(self, chunk: bytes) -> None:
        """Take the next piece from the socket."""
        self._pieces.append(chunk)
        self._bytes += len(chunk)
        if self._bytes >= limits.S3_READ_AHEAD_BYTES_MAX // 2:
            self._changed.set()
        if self._bytes >= limits.S3_READ_AHEAD_BYTES_MAX and not self._is_paused:
            self._is_paused = True
            self._exchange.pause_reading()

    def end(self) -> None:
        """The body is whole."""
        self._is_ended = True
        self._changed.set()

    def abort(self) -> None:
        """The client is gone."""
        self._is_aborted = True
        self._changed.set()

    def resume(self) -> None:
        """Let the client go on sending."""
        if self._is_paused:
            self._is_paused = False
            self._exchange.resume_reading()

    async def pieces(self) -> tuple[list[bytes], bool]:
        """Return what has come, enough to be worth a thread's turn, and whether it is the last."""
        await self._changed.wait()
        if self._is_aborted:
            raise _ClientGoneError
        taken, self._pieces, self._bytes = self._pieces, [], 0
        if not self._is_ended:
            self._changed.clear()
        self.resume()
        return taken, self._is_ended


class Service:
    """Answers S3's requests from one store; a `windtunnel.http` handler."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._threads = ThreadPoolExecutor(limits.S3_THREAD_COUNT, thread_name_prefix="s3")
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is being carried out; the server has closed its connections before."""
        await asyncio.gather(*self._tasks)
        self._threads.shutdown()

    # --- windtunnel.http.server.Handler ---------------------------------------------------------

    def begin(self, exchange: Exchange) -> int | _Body:
        """Refuse a request by its head, or start carrying it out."""
        head = exchange.head
        try:
            request = Request(head.method.decode("latin-1"), head.target, head.headers)
        except S3Error as error:
            _refuse(exchange, error, None)
            return 0
        try:
            name = operation_name(request)
            operation = OPERATIONS.get(name)
            if operation is None:
                raise not_implemented(name)
            reception = self._reception(request, name, operation)
        except S3Error as error:
            _refuse(exchange, error, request)
            return 0
        body = _Body(exchange)
        task = asyncio.get_running_loop().create_task(
            self._carry_out(exchange, request, reception, body)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return body

    def complete(self, exchange: Exchange) -> None:
        """Never called: every request that is not refused at once has a `_Body`."""
        raise AssertionError(exchange)

    def overflow(self, exchange: Exchange) -> None:
        """Never called, for the same reason."""
        raise AssertionError(exchange)

    def malformed(self, exchange: Exchange, status: int, reason: str) -> None:
        """Answer what is not HTTP."""
        _refuse(exchange, S3Error(_MALFORMED.get(status, "InvalidRequest"), reason), None)

    # --- one request ------------------------------------------------------------------------------

    def _reception(self, request: Request, name: str, operation: Operation) -> Reception:
        request.check_owner()
        refuse_unoffered(request)
        plan = plan_of(request, is_checksum_of_object=operation.is_checksum_of_object)
        if operation.streams and plan.payload_bytes is None:
            if not plan.is_framed and request.header("transfer-encoding") is not None:
                # As S3 does: without aws-chunked it must know the length beforehand.
                raise S3Error("NotImplemented", Header="Transfer-Encoding")
            raise S3Error("MissingContentLength")
        return Reception(self._storage, request, name, operation, plan)

    async def _carry_out(
        self, exchange: Exchange, request: Request, reception: Reception, body: _Body
    ) -> None:
        try:
            answer = await self._answer(reception, body)
            await self._send(exchange, request, answer)
        except _ClientGoneError:
            pass
        except Exception as error:
            known = explained(error)
            if known is None:
                log.exception("%s %s failed.", request.method, request.resource)
                known = S3Error("InternalError")
            if exchange.is_answered:
                exchange.drop()
            else:
                body.resume()
                _refuse(exchange, known, request)

    async def _answer(self, reception: Reception, body: _Body) -> Answer:
        pieces, is_last = await body.pieces()
        if is_last:
            return await self._on_thread(reception.whole, pieces)
        try:
            await self._on_thread(reception.open)
            await self._on_thread(reception.take, pieces)
            while not is_last:
                pieces, is_last = await body.pieces()
                await self._on_thread(reception.take, pieces)
            return await self._on_thread(reception.finish)
        except BaseException:
            await self._on_thread(reception.drop)
            raise

    async def _send(self, exchange: Exchange, request: Request, answer: Answer) -> None:
        headers = _wire(answer.headers, request)
        if not answer.segments:
            if request.method == "HEAD":
                headers.append((b"content-length", b"%d" % answer.segment_bytes))
            exchange.respond(answer.status, headers, answer.body)
            if answer.held:
                await self._on_thread(self._storage.blobs.release, answer.held)
            return
        try:
            pieces = self._storage.blobs.read(answer.segments, limits.S3_READ_PIECE_BYTES)
            with contextlib.closing(pieces):
                # The first piece before the head: a failure to read can then still be told.
                piece = await self._on_thread(_following, pieces)
                exchange.start(answer.status, headers, answer.segment_bytes)
                while piece is not None and not exchange.is_abandoned:
                    exchange.write(piece)
                    await exchange.drained()
                    piece = await self._on_thread(_following, pieces)
            exchange.finish()
        finally:
            await self._on_thread(self._storage.blobs.release, answer.held)

    async def _on_thread(
        self, work: Callable[[Unpack[Arguments]], Value], *arguments: *Arguments
    ) -> Value:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)


def _refuse(exchange: Exchange, error: S3Error, request: Request | None) -> None:
    identity = request.id if request is not None else new_request_id()
    resource = request.resource if request is not None else exchange.head.path.decode("latin-1")
    answer = answers.error_answer(error, resource=resource, request_id=identity)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    exchange.respond(answer.status, [*headers, *_identity(identity)], answer.body)


def _wire(headers: answers.Headers, request: Request) -> list[tuple[bytes, bytes]]:
    wire = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return wire + _identity(request.id)


def _identity(request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-amz-request-id", request_id.encode()),
        (b"x-amz-id-2", answers.host_id(request_id).encode()),
    ]


def _following(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
