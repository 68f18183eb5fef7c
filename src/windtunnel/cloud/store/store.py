"""What must outlive the cloud: documents by kind and name, in one SQLite file.

What was acknowledged is durable: `commit` returns when its changes are on the disk, all or none of
them (`database.py` has the rules).
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.cloud.store.database import Database, Layout

_LAYOUT = Layout(
    """
    CREATE TABLE IF NOT EXISTS documents (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (kind, name)
    ) WITHOUT ROWID
    """,
    version=1,
)

Document = dict[str, Any]


@dataclass(frozen=True)
class Put:
    """Write a document, whether or not there was one of its name."""

    kind: str
    name: str
    document: Document


@dataclass(frozen=True)
class Delete:
    """Remove a document, whether or not there was one of its name."""

    kind: str
    name: str


Change = Put | Delete


class Store:
    """The documents of one home."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> "Store":
        """Open the file, or make it."""
        return cls(await Database.open(path, _LAYOUT, "store"))

    async def load(self, kind: str) -> dict[str, Document]:
        """Return every document of a kind, by name."""

        def read(connection: sqlite3.Connection) -> dict[str, Document]:
            rows = connection.execute("SELECT name, body FROM documents WHERE kind = ?", (kind,))
            return {name: json.loads(body) for name, body in rows}

        return await self._database.ask(read)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Make changes durable, all of them or, when this raises, none."""
        # Written as text here, so that what cannot be written hurts nobody else.
        rows = [
            (change.kind, change.name, json.dumps(change.document))
            if isinstance(change, Put)
            else (change.kind, change.name, None)
            for change in changes
        ]

        def write(connection: sqlite3.Connection) -> None:
            for kind, name, body in rows:
                if body is None:
                    connection.execute(
                        "DELETE FROM documents WHERE kind = ? AND name = ?", (kind, name)
                    )
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, name, body)
                    )

        await self._database.commit(write)

    async def close(self) -> None:
        """Finish what was asked for, and let the file go."""
        await self._database.close()
