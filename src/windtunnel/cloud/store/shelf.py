"""Records of one kind, in memory and in the store, under keys as they are.

Rule: a change is committed first, then remembered, then answered; what belongs together is
committed together, across shelves (`carry_out`). Whoever changes records holds its room's lock.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

from windtunnel.cloud.store.store import Change, Delete, Document, Put, Store


class Record(Protocol):
    """What every record can do."""

    @property
    def key(self) -> str:
        """What it is found by."""
        ...

    def to_document(self) -> Document:
        """Return it as JSON holds it."""
        ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Edit:
    """Changes of one shelf: what is committed, and what is remembered then."""

    changes: list[Change]
    remember: Callable[[], None]


class Shelf(Generic[R]):
    """All records of a kind by their key, in the order of their keys at start, then of arrival."""

    def __init__(self, kind: str, from_document: Callable[[Document], R]) -> None:
        self._kind = kind
        self._from_document = from_document
        self._records: dict[str, R] = {}

    async def load(self, store: Store) -> None:
        """Read what the store has."""
        documents = await store.load(self._kind)
        self._records = {key: self._from_document(documents[key]) for key in sorted(documents)}

    def find(self, key: str) -> R | None:
        """Return the record of a key."""
        return self._records.get(key)

    def all(self) -> list[R]:
        """Return every record."""
        return list(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def edit(self, puts: Iterable[R] = (), deletes: Iterable[str] = ()) -> Edit:
        """Return an edit that writes records and removes others."""
        put, gone = list(puts), [key for key in deletes if key in self._records]

        def remember() -> None:
            for key in gone:
                self._records.pop(key, None)
            self._records.update((each.key, each) for each in put)

        changes: list[Change] = [Delete(self._kind, key) for key in gone]
        changes += [Put(self._kind, each.key, each.to_document()) for each in put]
        return Edit(changes, remember)

    def appended(self, puts: Iterable[R], count_max: int) -> Edit:
        """Return an edit that adds records and lets the oldest go where there are too many."""
        put = list(puts)
        new = sum(each.key not in self._records for each in put)
        surplus = max(0, len(self._records) + new - count_max)
        return self.edit(put, list(islice(self._records, surplus)))


async def carry_out(store: Store, *edits: Edit) -> None:
    """Commit edits, all or, when this raises, none; then remember them."""
    changes = [change for edit in edits for change in edit.changes]
    if not changes:
        return
    await store.commit(changes)
    for edit in edits:
        edit.remember()
