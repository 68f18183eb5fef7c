"""One request from its body's first byte to its answer, in blocking steps.

    open    refuse what can be refused now, make room for the body
    take    check the next pieces of the body, write them
    finish  check the body as a whole, make it durable, carry out the operation
    drop    the client is gone, or something failed: leave nothing behind

Rules: a worker thread at a time; nothing here knows a socket. Whatever fails, the draft is dropped.
"""

from windtunnel.cloud.foundation.s3.answers import Answer
from windtunnel.cloud.foundation.s3.blobs import Draft, Segment
from windtunnel.cloud.foundation.s3.errors import STORAGE_FULL, S3Error, is_storage_full
from windtunnel.cloud.foundation.s3.intake import Intake, Plan
from windtunnel.cloud.foundation.s3.operations.access import check_access
from windtunnel.cloud.foundation.s3.operations.call import Call, Operation
from windtunnel.cloud.foundation.s3.request import Request
from windtunnel.cloud.foundation.s3.storage import Storage
from windtunnel.core import limits


class Reception:
    """A request on its way to an answer."""

    def __init__(
        self, storage: Storage, request: Request, name: str, operation: Operation, plan: Plan
    ) -> None:
        self._storage = storage
        self._request = request
        self._name = name
        self._operation = operation
        self._plan = plan
        self._draft: Draft | None = None
        self._kept: list[bytes] = []
        self._intake = Intake(plan, self._write, operation.body_bytes_max)

    def open(self) -> None:
        """Refuse the request, or be ready for its body."""
        call = Call(self._storage, self._request)
        check_access(call, self._name)
        if self._operation.admit is not None:
            self._operation.admit(call)
        if self._operation.streams and self._plan.payload_bytes:
            if self._plan.payload_bytes > self._storage.blobs.free_bytes():
                raise S3Error(STORAGE_FULL)
            self._draft = self._storage.blobs.draft()

    def _write(self, payload: bytes) -> None:
        if self._draft is not None:
            self._draft.write(payload)
        else:
            self._kept.append(payload)

    def take(self, pieces: list[bytes]) -> None:
        """Take the next pieces of the body."""
        if pieces:
            self._intake.take(pieces)

    def finish(self) -> Answer:
        """Return the answer; all that it acknowledges is on disk."""
        received = self._intake.finish()
        segments: tuple[Segment, ...] = ()
        if self._draft is not None:
            self._draft.seal()
            segments = (Segment(self._draft.blob, 0, received.payload_bytes),)
        self._request.body = b"".join(self._kept)
        answer = self._operation.run(Call(self._storage, self._request, received, segments))
        self._draft = None
        if answer.segment_bytes <= limits.S3_READ_PIECE_BYTES and answer.segments:
            self._inline(answer)
        return answer

    def _inline(self, answer: Answer) -> None:
        """Read a small body now, while this thread has the turn."""
        try:
            answer.body = b"".join(
                self._storage.blobs.read(answer.segments, limits.S3_READ_PIECE_BYTES)
            )
        finally:
            self._storage.blobs.release(answer.held)
            answer.segments = answer.held = ()

    def drop(self) -> None:
        """Forget what was received."""
        if self._draft is not None:
            self._storage.drop(self._draft)
            self._draft = None

    def whole(self, pieces: list[bytes]) -> Answer:
        """Take a request whose body is all here, in one go."""
        try:
            self.open()
            self.take(pieces)
            return self.finish()
        except BaseException:
            self.drop()
            raise


def explained(error: Exception) -> S3Error | None:
    """Return S3's error for a failure; None for one that nobody foresaw."""
    if isinstance(error, S3Error):
        return error
    return S3Error(STORAGE_FULL) if is_storage_full(error) else None
