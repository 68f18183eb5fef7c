"""What goes wrong in a container, by who has to do something about it.

    ServingError
      x SettingsError  a variable of the container's environment cannot be taken
      x ArchiveError   the model directory holds nothing to serve, or what is not served here
      x LoadError      an engine could not load a model
      x RequestError   one request cannot be answered; carries the HTTP status that says so

The first three end a container at its start, with the message as the reason. A RequestError ends
nothing but its request. Messages for requests keep TensorFlow Serving's wording where it has one.
"""


class ServingError(Exception):
    """A failure that the container can explain."""


class SettingsError(ServingError):
    """A variable has a value that means nothing."""


class ArchiveError(ServingError):
    """The model directory cannot be served as it is."""


class LoadError(ServingError):
    """A model was found, and its engine refused it."""


class RequestError(ServingError):
    """A request that is answered with an error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
