"""What the platform asks of a container of many models: load this one, unload that one.

AWS's "Custom Containers Contract for Multi-Model Endpoints", from the platform's side.
"""

import asyncio
import json
from pathlib import Path
from typing import NamedTuple

from windtunnel.cloud.multimodel.books import LoadFailedError
from windtunnel.core import limits
from windtunnel.http.message import Headers
from windtunnel.http.upstream import Upstream


class Answer(NamedTuple):
    """What a container said."""

    status: int
    text: str


class ContainerApi:
    """One container's models."""

    def __init__(self, address: str) -> None:
        self._upstream = Upstream(
            address,
            answer_bytes_max=limits.INVOKE_ANSWER_BYTES_MAX,
            # It may be anybody's server.
            idle_timeout_s=limits.FOREIGN_IDLE_TIMEOUT_S,
        )

    async def load(self, identity: str, directory: Path, model: str) -> Answer:
        """Have a model loaded from a folder."""
        document = {"model_name": identity, "url": str(directory)}
        return await self._ask("POST", "/models", model, json.dumps(document).encode())

    async def unload(self, identity: str, model: str) -> Answer:
        """Have a model unloaded."""
        return await self._ask("DELETE", f"/models/{identity}", model, b"")

    def close(self) -> None:
        """Let connections go."""
        self._upstream.close()

    async def _ask(self, method: str, target: str, model: str, body: bytes) -> Answer:
        head = (
            f"{method} {target} HTTP/1.1\r\nhost: model\r\ncontent-type: application/json\r\n"
            f"accept: application/json\r\nx-amzn-sagemaker-target-model: {model}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        reply = _Reply()
        call = self._upstream.send([head.encode() + body], reply)
        try:
            async with asyncio.timeout(limits.MODEL_LOAD_ANSWER_TIMEOUT_S):
                return await reply.future
        except TimeoutError as error:
            raise LoadFailedError(
                0,
                f"The container did not answer {method} {target} within"
                f" {limits.MODEL_LOAD_ANSWER_TIMEOUT_S:g} s.",
            ) from error
        finally:
            call.cancel()


class _Reply:
    """Waits for one answer."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def on_answer(self, status: int, headers: Headers, chunks: list[bytes], size: int) -> None:
        """Take the whole answer."""
        del headers, size
        text = b"".join(chunks)[: limits.MODEL_ERROR_MESSAGE_BYTES_MAX]
        if not self.future.done():
            self.future.set_result(Answer(status, text.decode(errors="replace")))

    def on_failure(self, reason: str) -> None:
        """Take the reason why there is none."""
        if not self.future.done():
            self.future.set_exception(LoadFailedError(0, f"The container gave no answer: {reason}"))
