"""A record as the store keeps it: a frozen dataclass whose fields are what JSON has.

One with a field that JSON has not (a state, a tuple, another record) says how it is read again.
"""

from dataclasses import asdict, dataclass
from typing import Self

from windtunnel.cloud.store.store import Document


@dataclass(frozen=True)
class Record:
    """What is remembered of one thing; a change makes a new one."""

    def to_document(self) -> Document:
        """Return this as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return what `to_document` wrote."""
        return cls(**document)
