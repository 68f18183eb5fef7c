"""Where samples are kept: rows of summaries by tier, metric and time, in a file of their own.

Everything that is saved is in the file and nowhere else, so that memory does not grow with what was
measured, and the cloud's start does not read it. Rows age from tier to tier (`retention.py`); where
the file would still grow beyond its limit they age faster, and the log says so.
"""

import json
import logging
import math
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from windtunnel.cloud.cloudwatch.metric import Metric, Sample
from windtunnel.cloud.cloudwatch.retention import LADDER, MINUTE, SECOND, Tier, kept_s, tiers_of
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.store.database import Database, Layout
from windtunnel.core import limits

log = logging.getLogger(__name__)

_LAYOUT = Layout(
    """
    CREATE TABLE IF NOT EXISTS metrics (
        id INTEGER PRIMARY KEY,
        identity TEXT NOT NULL UNIQUE,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        last_s INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS points (
        tier INTEGER NOT NULL,
        metric INTEGER NOT NULL,
        start_s INTEGER NOT NULL,
        unit TEXT NOT NULL,
        count REAL NOT NULL,
        sum REAL NOT NULL,
        low REAL NOT NULL,
        high REAL NOT NULL,
        distribution BLOB,
        PRIMARY KEY (tier, metric, start_s, unit)
    ) WITHOUT ROWID
    """,
    version=1,
    # Room for what comes between two tidyings, and for the tidying itself.
    bytes_max=2 * limits.METRIC_FILE_BYTES_MAX,
)
_COLUMNS = "count, sum, low, high, distribution"
_IN_ORDER = " ORDER BY start_s, unit"
# Metrics that age in one transaction: others' commits wait for its end.
_AGED_TOGETHER = 50
# Questions that are answered in one turn: a few milliseconds, for which others' commits wait.
_ASKED_TOGETHER = 100
# Percentiles are read by so much time at once: a day of a busy metric takes a third of a second.
_PART_S = 24 * 3600
# Rows age faster by halves, down to this part of AWS's times.
_HASTE_MIN = 1 / 1024

_Place = tuple[int, int, int, str]


@dataclass(frozen=True)
class Question:
    """Which windows of a metric are wanted."""

    metric: Metric
    period_s: int
    # Where the first window begins.
    start_s: int
    end_s: float
    now_s: float
    unit: str | None = None
    needs_distribution: bool = False
    # Rows that ended later are not shown yet.
    shown_until_s: float = math.inf


class Window(NamedTuple):
    """One period that has samples, of one unit."""

    start_s: int
    unit: str
    summary: Summary


class Archive:
    """The samples of one home."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> "Archive":
        """Open the file, or make it."""
        return cls(await Database.open(path, _LAYOUT, "metrics"))

    async def close(self) -> None:
        """Finish what was asked for, and let the file go."""
        await self._database.close()

    async def put(self, make: Callable[[], Iterable[Sample]], now_s: float) -> None:
        """Make samples durable, all of them or, when this raises, none.

        `make` returns them, in the metrics' thread, and each time that it is asked.
        """
        await self._database.commit(lambda connection: _write(connection, make(), now_s))

    async def put_what_fits(self, make: Callable[[], Iterable[Sample]], now_s: float) -> None:
        """Make samples durable, but for those of metrics for which there is no room."""
        await self._database.commit(
            lambda connection: _write(connection, _fitting(connection, make(), now_s), now_s)
        )

    async def windows(self, question: Question) -> list[Window]:
        """Return the windows that have samples, in order of time."""
        found: list[Window] = []
        for part in _parts(question):
            found += await self._database.ask(partial(_windows, part))
        return found

    async def windows_of_all(self, questions: Sequence[Question]) -> list[list[Window]]:
        """Return the windows of many questions, none of which is about how values are spread."""
        found: list[list[Window]] = []
        for first in range(0, len(questions), _ASKED_TOGETHER):
            part = questions[first : first + _ASKED_TOGETHER]
            found += await self._database.ask(partial(_windows_of_all, part))
        return found

    async def metrics(
        self, namespace: str | None, name: str | None, since_s: float
    ) -> list[Metric]:
        """Return the metrics that had samples since a moment, in their own order."""
        return await self._database.ask(
            lambda connection: sorted(_metrics(connection, namespace, name, since_s))
        )

    async def tidy(self, now_s: float) -> None:
        """Let rows age, as fast as the file's limit asks for."""
        haste = 1.0
        while True:
            ids = await self._database.ask(_ids)
            for first in range(0, len(ids), _AGED_TOGETHER):
                batch = ids[first : first + _AGED_TOGETHER]
                await self._database.commit(partial(_age, batch, now_s, haste))
            used_bytes = await self._database.ask(_used_bytes)
            if used_bytes <= limits.METRIC_FILE_BYTES_MAX or haste <= _HASTE_MIN:
                break
            haste /= 2
        if haste < 1:
            log.warning("Metrics fill their file: they are kept for %.3f of AWS's times.", haste)
        await self._database.commit(_forget)


# --- in the thread --------------------------------------------------------------------------------


def _write(connection: sqlite3.Connection, samples: Iterable[Sample], now_s: float) -> None:
    rows: dict[_Place, Summary] = {}
    newest: dict[Metric, tuple[int, int]] = {}
    for sample in samples:
        known = newest.get(sample.metric)
        if known is None:
            in_use = [number for number, _ in newest.values()]
            known = _find(connection, sample.metric, now_s, in_use)
        number, last_s = known
        newest[sample.metric] = (number, max(last_s, sample.at_s))
        tiers = [MINUTE]
        if sample.is_high_resolution and sample.at_s >= now_s - SECOND.kept_s:
            tiers.append(SECOND)
        for tier in tiers:
            place = (tier.width_s, number, _start_s(sample.at_s, tier), sample.unit)
            row = rows.get(place)
            rows[place] = sample.summary if row is None else row.plus(sample.summary)
    _add(connection, rows)
    connection.executemany(
        "UPDATE metrics SET last_s = ? WHERE id = ? AND last_s < ?",
        [(last_s, number, last_s) for number, last_s in newest.values()],
    )


def _fitting(
    connection: sqlite3.Connection, samples: Iterable[Sample], now_s: float
) -> Iterator[Sample]:
    """Yield the samples of metrics that are kept, or can be; say which cannot."""
    fits: dict[Metric, bool] = {}
    for sample in samples:
        if sample.metric not in fits:
            try:
                _find(connection, sample.metric, now_s)
                fits[sample.metric] = True
            except InvalidError as error:
                log.warning("A metric is not kept: %s", error.message)
                fits[sample.metric] = False
        if fits[sample.metric]:
            yield sample


def _find(
    connection: sqlite3.Connection, metric: Metric, now_s: float, in_use: Collection[int] = ()
) -> tuple[int, int]:
    """Return a metric's number and the time of its newest sample; a new one is written down.

    Where there are as many as there may be, the one that was silent longest makes room, unless its
    number is in use.
    """
    identity = json.dumps(metric)
    found = connection.execute(
        "SELECT id, last_s FROM metrics WHERE identity = ?", (identity,)
    ).fetchone()
    if found is not None:
        return int(found[0]), int(found[1])
    (count,) = connection.execute("SELECT COUNT(*) FROM metrics").fetchone()
    if count >= limits.METRIC_COUNT_MAX and not _make_room(connection, now_s, in_use):
        raise InvalidError(
            f"This local cloud keeps {limits.METRIC_COUNT_MAX} metrics, and all were in use of "
            f"late: {metric.name} of {metric.namespace} would be one more."
        )
    cursor = connection.execute(
        "INSERT INTO metrics (identity, namespace, name, last_s) VALUES (?, ?, ?, 0)",
        (identity, metric.namespace, metric.name),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid, 0


def _make_room(connection: sqlite3.Connection, now_s: float, in_use: Collection[int]) -> bool:
    """Forget the metric that was silent longest; say whether one was silent long enough."""
    silent = connection.execute(
        "SELECT id FROM metrics WHERE last_s < ? ORDER BY last_s LIMIT ?",
        (now_s - limits.METRIC_SILENT_S, len(in_use) + 1),
    ).fetchall()
    for (number,) in silent:
        if number not in in_use:
            for tier in LADDER:
                _remove(connection, tier, number, math.inf)
            connection.execute("DELETE FROM metrics WHERE id = ?", (number,))
            return True
    return False


def _add(connection: sqlite3.Connection, rows: dict[_Place, Summary]) -> None:
    """Add summaries to what is there."""
    for place, added in rows.items():
        old = connection.execute(
            f"SELECT {_COLUMNS} FROM points "  # noqa: S608 - a constant
            "WHERE tier = ? AND metric = ? AND start_s = ? AND unit = ?",
            place,
        ).fetchone()
        new = added if old is None else Summary.decode(*old).plus(added)
        connection.execute(
            "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, new.count, new.sum, new.low, new.high, new.encoded_distribution()),
        )


def _parts(question: Question) -> Iterator[Question]:
    """Yield a question in parts after which others get their turn: histograms take their time."""
    if not question.needs_distribution:
        yield question
        return
    windows_each = max(1, _PART_S // question.period_s)
    step_s = windows_each * question.period_s
    oldest_s = question.now_s - kept_s(question.period_s)
    end_s = min(question.end_s, question.now_s + limits.METRIC_PUT_AHEAD_S_MAX + step_s)
    skipped = max(0, int(oldest_s - question.start_s) // question.period_s)
    for start_s in range(question.start_s + skipped * question.period_s, math.ceil(end_s), step_s):
        yield replace(question, start_s=start_s, end_s=min(end_s, start_s + step_s))


def _windows_of_all(
    questions: Sequence[Question], connection: sqlite3.Connection
) -> list[list[Window]]:
    return [_windows(question, connection) for question in questions]


def _windows(question: Question, connection: sqlite3.Connection) -> list[Window]:
    found = connection.execute(
        "SELECT id FROM metrics WHERE identity = ?", (json.dumps(question.metric),)
    ).fetchone()
    if found is None:
        return []
    tiers = tiers_of(question.period_s)
    first_s = max(question.start_s, question.now_s - kept_s(question.period_s))
    where = (
        f"tier IN ({', '.join(str(tier.width_s) for tier in tiers)}) AND metric = :metric "
        "AND start_s >= :first_s AND start_s < :end_s AND start_s + tier <= :shown_until_s"
        + (" AND unit = :unit" if question.unit is not None else "")
    )
    values = {
        "metric": found[0],
        "first_s": first_s,
        "end_s": question.end_s,
        "shown_until_s": question.shown_until_s,
        "unit": question.unit,
        "start_s": question.start_s,
        "period_s": question.period_s,
    }
    if question.needs_distribution:
        query = f"SELECT start_s, unit, {_COLUMNS} FROM points WHERE {where}"  # noqa: S608 - ours
        return _merged(question, connection.execute(query, values))
    is_row = [tier.width_s for tier in tiers] == [question.period_s]
    if is_row and question.start_s % question.period_s == 0:
        # A row is a window: minutes from a whole one on, which is what alarms ask for.
        query = f"SELECT start_s, unit, count, sum, low, high FROM points WHERE {where}"  # noqa: S608 - ours
        return [
            Window(start_s, unit, Summary(*figures))
            for start_s, unit, *figures in connection.execute(query + _IN_ORDER, values)
        ]
    query = (
        f"SELECT (start_s - :start_s) / :period_s AS number, unit, SUM(count), SUM(sum), "  # noqa: S608 - ours
        f"MIN(low), MAX(high) FROM points WHERE {where} GROUP BY number, unit ORDER BY number, unit"
    )
    return [
        Window(question.start_s + number * question.period_s, unit, Summary(*figures))
        for number, unit, *figures in connection.execute(query, values)
    ]


def _merged(
    question: Question, rows: Iterable[tuple[int, str, *tuple[float, ...]]]
) -> list[Window]:
    windows: dict[tuple[int, str], Summary] = {}
    for start_s, unit, *figures in rows:
        place = (start_s - (start_s - question.start_s) % question.period_s, unit)
        summary = Summary.decode(*figures)  # type: ignore[arg-type]
        old = windows.get(place)
        windows[place] = summary if old is None else old.plus(summary)
    return [Window(*place, windows[place]) for place in sorted(windows)]


def _metrics(
    connection: sqlite3.Connection, namespace: str | None, name: str | None, since_s: float
) -> Iterator[Metric]:
    rows = connection.execute(
        "SELECT identity FROM metrics WHERE last_s >= :since_s "
        "AND (:namespace IS NULL OR namespace = :namespace) AND (:name IS NULL OR name = :name)",
        {"since_s": since_s, "namespace": namespace, "name": name},
    )
    for (identity,) in rows:
        found_namespace, found_name, dimensions = json.loads(identity)
        yield Metric.of(found_namespace, found_name, [(key, value) for key, value in dimensions])


def _ids(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT id FROM metrics")]


def _age(ids: Sequence[int], now_s: float, haste: float, connection: sqlite3.Connection) -> None:
    """Move rows that are too old for their tier into the next, or away."""
    for number in ids:
        _remove(connection, SECOND, number, now_s - SECOND.kept_s * haste)
        for tier, following in pairwise(LADDER):
            # Whole rows of the following tier, so that no row of it has a part in this one.
            before_s = _start_s(int(now_s - tier.kept_s * haste), following)
            rows: dict[_Place, Summary] = {}
            for start_s, unit, *figures in connection.execute(
                f"SELECT start_s, unit, {_COLUMNS} FROM points "  # noqa: S608 - a constant
                "WHERE tier = ? AND metric = ? AND start_s < ?",
                (tier.width_s, number, before_s),
            ):
                place = (following.width_s, number, _start_s(start_s, following), unit)
                summary = Summary.decode(*figures)
                old = rows.get(place)
                rows[place] = summary if old is None else old.plus(summary)
            _add(connection, rows)
            _remove(connection, tier, number, before_s)
        _remove(connection, LADDER[-1], number, now_s - LADDER[-1].kept_s * haste)


def _remove(connection: sqlite3.Connection, tier: Tier, number: int, before_s: float) -> None:
    connection.execute(
        "DELETE FROM points WHERE tier = ? AND metric = ? AND start_s < ?",
        (tier.width_s, number, before_s),
    )


def _forget(connection: sqlite3.Connection) -> None:
    """Remove the metrics of which no row is left."""
    widths = ", ".join(str(tier.width_s) for tier in LADDER)
    connection.execute(
        "DELETE FROM metrics WHERE NOT EXISTS "  # noqa: S608 - ours
        f"(SELECT 1 FROM points WHERE tier IN ({widths}) AND metric = metrics.id)"
    )


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {each}").fetchone()[0]
        for each in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _start_s(at_s: int, tier: Tier) -> int:
    return at_s - at_s % tier.width_s
