"""Records of one kind, in memory and in the store.

Rule: a change is committed first, then remembered, then answered; so memory never says what the
disk does not. Whoever reads a record in order to change it holds its key meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Generic, Protocol, TypeVar

from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.sagemaker.records import Document
from windtunnel.cloud.store.store import Delete, Put, Store
from windtunnel.core import limits


class Record(Protocol):
    """What every record can do."""

    @property
    def name(self) -> str:
        """The name that its creator gave it."""
        ...

    def to_document(self) -> Document:
        """Return it as JSON holds it."""
        ...


R = TypeVar("R", bound=Record)


class Collection(Generic[R]):
    """All records of a kind by their key: the name in lower case, as in ARNs."""

    def __init__(self, store: Store, kind: str, from_document: Callable[[Document], R]) -> None:
        self._store = store
        self._kind = kind
        self._from_document = from_document
        self._records: dict[str, R] = {}
        # A lock lives as long as somebody holds it or waits for it.
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def load(self) -> None:
        """Read what the store has."""
        documents = await self._store.load(self._kind)
        self._records = {key: self._from_document(each) for key, each in documents.items()}

    def find(self, name: str) -> R | None:
        """Return the record of a name, in whatever case it is written."""
        return self._records.get(name.lower())

    def all(self) -> list[R]:
        """Return every record."""
        return list(self._records.values())

    @contextlib.asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Keep others from changing the record of a name."""
        key = name.lower()
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, users - 1

    async def create(self, record: R, conflict: CloudError) -> None:
        """Commit and remember a new record; raise `conflict` when its name is taken."""
        async with self.held(record.name):
            if self.find(record.name) is not None:
                raise conflict
            if len(self._records) >= limits.RESOURCE_COUNT_MAX:
                raise LimitExceededError(
                    f"This local cloud holds up to {limits.RESOURCE_COUNT_MAX} resources of a "
                    "kind: delete some first."
                )
            await self.put(record)

    async def put(self, record: R, then: Callable[[], None] | None = None) -> None:
        """Commit and remember a record; `then` is called between the two."""
        key = record.name.lower()
        await self._store.commit([Put(self._kind, key, record.to_document())])
        if then is not None:
            then()
        self._records[key] = record

    async def put_all(self, records: Iterable[R]) -> None:
        """Commit and remember several records, all or none."""
        changed = list(records)
        await self._store.commit(
            [Put(self._kind, each.name.lower(), each.to_document()) for each in changed]
        )
        self._records.update((each.name.lower(), each) for each in changed)

    async def remove(self, name: str) -> None:
        """Commit and remember that a record is gone."""
        key = name.lower()
        await self._store.commit([Delete(self._kind, key)])
        self._records.pop(key, None)
