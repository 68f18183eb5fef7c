"""What goes wrong in a container, by who has to do something about it.

    ServingError
      x SettingsError  a variable of the container's environment cannot be taken
      x ArchiveError   the model directory holds nothing to serve, or what is not served here
      x ScriptError    the archive's script cannot be run, or what it requires not be installed
      x LoadError      an engine could not load a model
      x RequestError   one request cannot be answered; carries the HTTP status that says so, and
                       the code that says it over gRPC

The first four end a container at its start, with the message as the reason. A RequestError ends
nothing but its request. Messages for requests keep TensorFlow Serving's wording where it has one.
"""

from collections.abc import Mapping
from enum import IntEnum

import orjson


class Code(IntEnum):
    """The codes of gRPC's and TensorFlow's errors (google/rpc/code.proto)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


# What a status means where nothing more exact is known.
_CODES: Mapping[int, Code] = {
    400: Code.INVALID_ARGUMENT,
    404: Code.NOT_FOUND,
    412: Code.FAILED_PRECONDITION,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
}


class ServingError(Exception):
    """A failure that the container can explain."""


class SettingsError(ServingError):
    """A variable has a value that means nothing."""


class ArchiveError(ServingError):
    """The model directory cannot be served as it is."""


class ScriptError(ServingError):
    """The archive's script cannot be run."""


class LoadError(ServingError):
    """A model was found, and its engine refused it."""


class RequestError(ServingError):
    """A request that is answered with an error."""

    def __init__(self, message: str, status: int = 400, code: Code | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code or _CODES.get(status, Code.INTERNAL)


def render_error(message: str) -> bytes:
    """Return an error in TensorFlow Serving's form, whatever of a request its message repeats."""
    # A JSON escape may bring half a surrogate pair, which no UTF-8 can hold.
    return orjson.dumps({"error": message.encode("utf-8", "backslashreplace").decode()})
