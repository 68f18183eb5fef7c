"""How long work says what it is doing."""

from typing import Protocol


class Progress(Protocol):
    """Where steps are told; the command line shows them, a test collects them."""

    def step(self, text: str) -> None:
        """Tell what is being done from now on."""
        ...

    def done(self, text: str) -> None:
        """Tell what was finished."""
        ...
