"""What users of a locustfile did, on its way to Locust: in batches, or one event a request.

Locust's own statistics are fed in batches, some times a second and always before anybody looks: at
a worker's report, when the test stops, before statistics are reset, when Locust quits. But whoever
else listens to Locust's `request` event (a listener of the locustfile or of a plug-in, Locust's
OpenTelemetry) must hear of every request: as long as there is one, the event is fired for each.

Importing this module imports Locust, which patches the process.
"""

import functools
import time
from array import array
from collections.abc import Callable
from time import perf_counter
from typing import Any

import gevent
import numpy as np
from locust.env import Environment

from windtunnel.core import limits
from windtunnel.lab.load import locust_stats
from windtunnel.lab.load.failures import Failure

METHOD = "InvokeEndpoint"
# Between two batches. Locust's UI looks every 2 s, its CSV files every second. Guess.
_FLUSH_PERIOD_S = 0.2
_OTHER = "other kinds of error"


class FailedInvocationError(Exception):
    """An invocation that was not answered well; what Locust's statistics count."""


class _Columns:
    """The requests of one name that are not counted yet."""

    def __init__(self) -> None:
        self.latency_s = array("d")
        self.size = array("q")
        self.failure = array("H")
        self.ended_s = array("d")

    def batch(self, epoch_offset_s: float) -> locust_stats.Batch:
        return locust_stats.Batch(
            latency_s=np.array(self.latency_s),
            size=np.array(self.size),
            failure=np.array(self.failure),
            ended_s=np.array(self.ended_s) + epoch_offset_s,
            fractions_below_ms=locust_stats.FRACTIONS_BELOW_MS_IF_CUT,
        )


class Feed:
    """The way into the statistics of one Locust environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        # Locust's events have no types.
        events: Any = environment.events
        self._request = events.request
        self._kinds: dict[str, int] = {}
        # Of each kind the first case.
        self._errors: list[FailedInvocationError] = []
        self._columns: dict[str, _Columns] = {}
        self._waiting = 0
        self._listeners = -1
        self._has_strangers = False
        for event in (events.report_to_master, events.test_stop, events.spawning_complete):
            # First of all: Locust's own listeners take the statistics away, or reset them.
            event._handlers.insert(0, self.flush)  # noqa: SLF001 - there is no other way
        # This one is fired backwards.
        events.quitting.add_listener(self.flush)

    def record(
        self,
        name: str,
        began_s: float,
        ended_s: float,
        size: int,
        failure: Failure | None,
        context: Callable[[], dict[str, Any]],
    ) -> None:
        """Take one request; the moments are of `perf_counter`."""
        if len(self._request._handlers) != self._listeners:  # noqa: SLF001 - read, not changed
            self._look_for_strangers()
        if self._has_strangers:
            self._request.fire(
                request_type=METHOD,
                name=name,
                response_time=(ended_s - began_s) * 1000,
                response_length=size,
                exception=self._errors[self._number(failure) - 1] if failure else None,
                context=context(),
            )
            return
        columns = self._columns.get(name)
        if columns is None:
            columns = self._columns[name] = _Columns()
        columns.latency_s.append(ended_s - began_s)
        columns.size.append(size)
        columns.failure.append(self._number(failure) if failure else 0)
        columns.ended_s.append(ended_s)
        self._waiting += 1
        if self._waiting == 1:
            gevent.spawn_later(_FLUSH_PERIOD_S, self.flush)
        elif self._waiting >= limits.LOCUST_BATCH_REQUEST_COUNT_MAX:
            self.flush()

    def flush(self, **_: object) -> None:
        """Count what is not counted yet."""
        columns, self._columns = self._columns, {}
        self._waiting = 0
        self._listeners = -1
        epoch_offset_s = time.time() - perf_counter()
        for name, waiting in columns.items():
            locust_stats.add(
                self._environment.stats,
                METHOD,
                name,
                waiting.batch(epoch_offset_s),
                list(self._kinds),
                self._errors,
            )

    def _look_for_strangers(self) -> None:
        handlers = self._request._handlers  # noqa: SLF001
        self._listeners = len(handlers)
        # What Locust itself registers is the one line in its runner that feeds the statistics.
        self._has_strangers = any(
            getattr(handler, "__module__", None) != "locust.runners" for handler in handlers
        )

    def _number(self, failure: Failure) -> int:
        kind, sentence = failure.kind, failure.sentence
        if kind not in self._kinds and len(self._kinds) >= limits.LOAD_ERROR_KINDS_MAX:
            kind = sentence = _OTHER
        if kind not in self._kinds:
            self._errors.append(FailedInvocationError(sentence))
            self._kinds[kind] = len(self._errors)
        return self._kinds[kind]


@functools.cache
def feed_of(environment: Environment) -> Feed:
    """Return the one feed of an environment."""
    return Feed(environment)
