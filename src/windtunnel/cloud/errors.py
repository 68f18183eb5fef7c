"""What a room of the cloud raises when it cannot do what it was asked.

    CloudError
      x InvalidError       the request contradicts itself, the limits or the state of things
        x NotFoundError    what it names does not exist
        x ConflictError    a name is taken, or a thing is busy changing
      x UnsupportedError   AWS has it; this cloud does not
      x ThrottledError     a queue is full
      x ModelError         the container answered with a failure, or not at all
      x UnreadyError       the model is still on its way to an instance
      x UnavailableError   a part of this cloud is not there right now

The messages are AWS's own wording where that is known. Codes, HTTP statuses and wire formats are
the gateway's business alone (`gateway/answers.py`).
"""


class CloudError(Exception):
    """A failure that the gateway turns into AWS's kind of error."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidError(CloudError):
    """The request cannot be carried out as it is."""


class NotFoundError(InvalidError):
    """What the request names is not there."""


class ConflictError(InvalidError):
    """The name is taken, or the thing is busy changing."""


class UnsupportedError(CloudError):
    """AWS offers this; this cloud says that it does not."""


class ThrottledError(CloudError):
    """More than the queues hold."""


class UnreadyError(CloudError):
    """What was asked for is on its way; another try may find it."""


class UnavailableError(CloudError):
    """A part of this cloud cannot answer now."""


class ModelError(CloudError):
    """The model's container failed: its status (0 for no answer), its message, where its log is."""

    def __init__(self, message: str, *, status: int, original: str, log_stream_arn: str) -> None:
        super().__init__(message)
        self.status = status
        self.original = original
        self.log_stream_arn = log_stream_arn
