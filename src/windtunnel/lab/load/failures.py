"""What went wrong with a request, in a few words that are the same for the same fault.

Pure. Kinds are counted, so they must not hold anything that differs from request to request; what
the model itself said is kept beside them as an example.
"""

import json
import re
import socket
import ssl
from dataclasses import dataclass

from windtunnel.lab.load.answer import AnswerReader, MalformedAnswerError, header

# An example is for a person to read.
_MESSAGE_CHARACTERS_MAX = 500
# Of an example in a table, as much as says what it is about.
_SHOWN_CHARACTERS_MAX = 200
_OF_THE_MODEL = re.compile(r"ModelError \(\d+, the model answered 5\d\d\)")


@dataclass(frozen=True)
class Failure:
    """A kind of fault, and the words of one case of it."""

    kind: str
    message: str

    @property
    def sentence(self) -> str:
        """Return the kind with its example, on one line that a table has room for."""
        return told(self.kind, self.message)


class ClosedConnectionError(Exception):
    """The other side closed the connection before the answer was whole."""


def from_answer(answer: AnswerReader) -> Failure:
    """Return what a failed answer says: AWS's code, its status, and the model's own status."""
    words = _json_object(answer.body_start)
    code = header(answer.head, "x-amzn-errortype").partition(":")[0]
    code = code or str(words.get("__type", "")).rpartition("#")[2]
    message = str(words.get("Message") or words.get("message") or "")
    kind = f"{code} ({answer.status})" if code else f"HTTP {answer.status}"
    if code == "ModelError":
        kind = f"ModelError ({answer.status}, the model answered {words.get('OriginalStatusCode')})"
        message = str(words.get("OriginalMessage") or message)
    if not message:
        # A message that is empty says nothing; neither does the JSON around it.
        is_told = "Message" in words or "message" in words
        message = "" if is_told else answer.body_start.decode("utf-8", "replace")
    return Failure(kind, message.strip()[:_MESSAGE_CHARACTERS_MAX])


def told(kind: str, example: str) -> str:
    """Return a kind with its example, on one line that a table has room for."""
    words = " ".join(example.split())
    if len(words) > _SHOWN_CHARACTERS_MAX:
        words = f"{words[:_SHOWN_CHARACTERS_MAX]}…"
    return f"{kind}: {words}" if words else kind


def is_models_server_error(kind: str) -> bool:
    """Say whether a kind is a 5xx of the model, which AWS answers as a 424."""
    return _OF_THE_MODEL.fullmatch(kind) is not None


def is_refusal(kind: str) -> bool:
    """Say whether a kind is SageMaker's own refusal: of an endpoint that is not there, mostly."""
    return kind.startswith("ValidationError ")


def from_exception(error: Exception) -> Failure:
    """Return what an exception of the socket means."""
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (ClosedConnectionError, "connection closed"),
        (MalformedAnswerError, "malformed answer"),
        (ConnectionRefusedError, "connection refused"),
        (ConnectionResetError, "connection reset"),
        (BrokenPipeError, "connection reset"),
        (ssl.SSLError, "TLS failed"),
        (TimeoutError, "no answer in time"),
        (socket.gaierror, "name not resolved"),
    )
    for exception_type, kind in kinds:
        if isinstance(error, exception_type):
            return Failure(kind, str(error)[:_MESSAGE_CHARACTERS_MAX])
    return Failure(type(error).__name__, str(error)[:_MESSAGE_CHARACTERS_MAX])


def _json_object(body: bytes) -> dict[str, object]:
    try:
        words = json.loads(body)
    except ValueError:
        return {}
    return words if isinstance(words, dict) else {}
