"""CloudWatch's alarms: their operations, and the look that brings their states about.

Others in this process use `look` (the loop of `cloud/autoscaling`), `find` and `watched` (what a
scaling policy's alarms are at), and `replace` (the alarms that a policy owns). Whoever carries
actions out says what is wrong with one (`hand_actions_to`).

Rule: whatever changes alarms holds the lock; a state is committed before anybody can read it. Where
it cannot be (the disk is full) the next look tries again.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from windtunnel.autoscaling import reasons
from windtunnel.aws.arn import Arn
from windtunnel.cloud.cloudwatch.alarms import listing, records, requests, watch
from windtunnel.cloud.cloudwatch.alarms.records import AlarmRecord, HistoryItem, Told
from windtunnel.cloud.cloudwatch.alarms.watch import Watched
from windtunnel.cloud.cloudwatch.errors import FormatError
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.errors import NotFoundError, UnavailableError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.store.shelf import Edit, Shelf, carry_out
from windtunnel.cloud.store.store import Store
from windtunnel.cloud.tempo import REAL, Tempo
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID

log = logging.getLogger(__name__)

Document = dict[str, Any]
# StateReasonData has 4,000 characters at most; a number has up to 24.
_POINTS_TOLD_MAX = 100
# What is wrong with the ARN of an action, None where nothing is.
CheckAction = Callable[[str], str | None]


class Alarms:
    """The alarms of one home."""

    def __init__(
        self,
        store: Store,
        cloudwatch: CloudWatch,
        clock: Clock,
        *,
        region: str,
        tempo: Tempo = REAL,
    ) -> None:
        self._store = store
        self._cloudwatch = cloudwatch
        self._clock = clock
        self._region = region
        self._tempo = tempo
        self._lock = asyncio.Lock()
        self._shelf = Shelf("alarm", AlarmRecord.from_document)
        self._history = Shelf("alarm-history", HistoryItem.from_document)
        self._watched: dict[str, Watched] = {}
        # Alarms whose state was set by hand: whoever acts on states looks at them, too.
        self._nudged: set[str] = set()
        self._sequence = 0
        self._check_action: CheckAction = _no_error
        # Another number whenever an alarm was made, changed or removed.
        self.version = 0

    async def load(self) -> None:
        """Read what the store has."""
        await self._shelf.load(self._store)
        await self._history.load(self._store)
        until_s = watch.seen_until_s(self._cloudwatch, self._clock.now_s())
        for record in self._shelf.all():
            watched = self._watched[record.name] = Watched(record, self._tempo)
            watched.wait_for_next(until_s)

    def operations(self) -> Mapping[str, Callable[[Document], Awaitable[Document]]]:
        """Return what the API can ask for."""
        return {
            "PutMetricAlarm": self.put,
            "DescribeAlarms": self.describe,
            "DescribeAlarmsForMetric": self.describe_for_metric,
            "DescribeAlarmHistory": self.describe_history,
            "SetAlarmState": self.set_state,
            "DeleteAlarms": self.delete,
            "EnableAlarmActions": self.enable,
            "DisableAlarmActions": self.disable,
        }

    # --- for others in this process ---------------------------------------------------------------

    def hand_actions_to(self, check_action: CheckAction) -> None:
        """Ask this of each action that follows from ALARM, for the history."""
        self._check_action = check_action

    def find(self, name: str) -> AlarmRecord | None:
        """Return an alarm's record."""
        return self._shelf.find(name)

    def all(self) -> list[AlarmRecord]:
        """Return every alarm's record."""
        return self._shelf.all()

    def watched(self, name: str) -> Watched | None:
        """Return an alarm as it is played."""
        return self._watched.get(name)

    def arn(self, name: str) -> str:
        """Return the ARN that a name has or would have."""
        return str(Arn("cloudwatch", self._region, ACCOUNT_ID, f"alarm:{name}"))

    async def look(self, now_s: float) -> set[str]:
        """Look at what is due, keep the states that follow; return the names looked at."""
        async with self._lock:
            looked = await watch.look(self._watched.values(), self._cloudwatch, now_s)
            turned = [each for each in looked if self._has_turned(each)]
            if turned:
                # Not when the look was begun: an alarm that was made while it waited for the lock
                # must not have turned before it was there.
                await self._keep(turned, self._now_s())
            nudged, self._nudged = self._nudged, set()
            return {each.alarm.rule.name for each in looked} | nudged

    async def replace(
        self, requests_: Sequence[Document], gone: Iterable[str], *also: Edit
    ) -> list[AlarmRecord]:
        """Make alarms and remove others, together with what belongs to them; return the new."""
        async with self._lock:
            made = [self._made(request) for request in requests_]
            self._check_room(len(made))
            await self._commit(made, [name for name in gone if self.find(name)], *also)
            return made

    # --- operations -------------------------------------------------------------------------------

    async def put(self, request: Document) -> Document:
        """Make an alarm, or give one new words; then it is as if it were new but for its state."""
        read = requests.read_alarm(request, self._region)
        tags = {tag["key"]: tag["value"] for tag in request.get("tags") or ()}
        async with self._lock:
            old = self.find(request["alarm_name"])
            record = self._made(read, old, tags)
            if old is None:
                self._check_room(1)
            await self._commit([record], [])
        return {}

    async def describe(self, request: Document) -> Document:
        """Return a page of the alarms."""
        return listing.alarms_page(request, self._shelf.all())

    async def describe_for_metric(self, request: Document) -> Document:
        """Return the alarms on a metric."""
        return listing.alarms_of_metric(request, self._shelf.all())

    async def describe_history(self, request: Document) -> Document:
        """Return a page of what became of alarms."""
        return listing.history_page(request, self._history.all())

    async def set_state(self, request: Document) -> Document:
        """Put an alarm in a state until its next look."""
        name, data = request["alarm_name"], request.get("state_reason_data")
        points = [] if data is None else _points(data)
        async with self._lock:
            old = self._require([name])[0]
            state = request["state_value"]
            now_s = self._now_s()
            new = old.turned(state, request["state_reason"], data, now_s)
            told = [(name, each) for each in _told_of_turn(old, new, self._check_action)]
            await carry_out(self._store, self._shelf.edit([new]), self._items(told, now_s))
            self._watched[name].alarm.say(state, points)
            self._nudged.add(name)
        return {}

    async def delete(self, request: Document) -> Document:
        """Remove alarms, all or, where one is not there, none."""
        async with self._lock:
            names = request["alarm_names"]
            self._require(names)
            await self._commit([], names)
        return {}

    async def enable(self, request: Document) -> Document:
        """Let alarms act again."""
        return await self._switch(request, is_enabled=True)

    async def disable(self, request: Document) -> Document:
        """Let alarms go off without consequences."""
        return await self._switch(request, is_enabled=False)

    async def _switch(self, request: Document, *, is_enabled: bool) -> Document:
        async with self._lock:
            now_s = self._now_s()
            # AWS declares no error for a name that is not there.
            found = [each for name in request["alarm_names"] if (each := self.find(name))]
            changed = [each.enabled(is_enabled=is_enabled, now_s=now_s) for each in found]
            told = [(each.name, records.configured(each.name, "updated")) for each in changed]
            await carry_out(self._store, self._shelf.edit(changed), self._items(told, now_s))
            self.version += 1
        return {}

    # --- keeping ----------------------------------------------------------------------------------

    def _made(
        self,
        request: Document,
        old: AlarmRecord | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> AlarmRecord:
        name, now_s = request["alarm_name"], self._now_s()
        if old is None:
            return AlarmRecord(
                name,
                self.arn(name),
                request,
                now_s,
                updated_s=now_s,
                transitioned_s=now_s,
                tags=tags or {},
            )
        # "The update completely overwrites the previous configuration of the alarm", its state
        # stays (botocore's page on PutMetricAlarm); tags are not changed by an update.
        return AlarmRecord(
            name,
            old.arn,
            request,
            now_s,
            old.state,
            old.reason,
            old.reason_data,
            old.updated_s,
            old.transitioned_s,
            old.tags,
        )

    async def _commit(self, made: Sequence[AlarmRecord], gone: Sequence[str], *also: Edit) -> None:
        told: list[tuple[str, Told]] = [
            (each.name, records.configured(each.name, "created" if new else "updated"))
            for each, new in [(each, self.find(each.name) is None) for each in made]
        ]
        told += [(name, records.configured(name, "deleted")) for name in gone]
        items = self._items(told, self._now_s())
        await carry_out(self._store, self._shelf.edit(made, gone), items, *also)
        for name in gone:
            self._watched.pop(name, None)
        for record in made:
            self._watched[record.name] = Watched(record, self._tempo)
        self.version += 1

    async def _keep(self, turned: Sequence[Watched], now_s: float) -> None:
        """Commit the states that a look brought about."""
        changed: list[AlarmRecord] = []
        told: list[tuple[str, Told]] = []
        for each in turned:
            old = self._shelf.find(each.alarm.rule.name)
            assert old is not None, "what is watched is kept"
            new = old.turned(
                each.alarm.state,
                reasons.state_reason(each.alarm, old.state),
                self._reason_data(each, old, now_s),
                round(now_s, 3),
            )
            changed.append(new)
            told += [(old.name, one) for one in _told_of_turn(old, new, self._check_action)]
        try:
            await carry_out(self._store, self._shelf.edit(changed), self._items(told, now_s))
        except UnavailableError as error:
            log.warning("The states of alarms could not be kept, and wait: %s", error.message)

    def _reason_data(self, each: Watched, old: AlarmRecord, now_s: float) -> str:
        data = reasons.reason_data(each.alarm, now_s, old.statistic_name)
        # What its owner said, however long it lasts here.
        data["period"] = old.period_s
        data["recentDatapoints"] = data["recentDatapoints"][-_POINTS_TOLD_MAX:]
        if self._tempo.is_warped:
            data["clock"] = f"x{self._tempo.factor}"
        return json.dumps(data)

    def _has_turned(self, each: Watched) -> bool:
        record = self._shelf.find(each.alarm.rule.name)
        return record is not None and record.state != each.alarm.state

    def _items(self, told: Sequence[tuple[str, Told]], now_s: float) -> Edit:
        made = []
        for name, each in told:
            self._sequence += 1
            key = f"{int(now_s * 1000):014d}-{self._sequence:09d}"
            made.append(records.item(key, name, round(now_s, 3), each))
        return self._history.appended(made, limits.SCALING_HISTORY_COUNT_MAX)

    def _require(self, names: Sequence[str]) -> list[AlarmRecord]:
        found = [self.find(name) for name in names]
        missing = [name for name, each in zip(names, found, strict=True) if each is None]
        if missing:
            raise NotFoundError(f"Alarms not found: {', '.join(missing)}.")
        return [each for each in found if each is not None]

    def _check_room(self, count: int) -> None:
        if len(self._shelf) + count > limits.ALARM_COUNT_MAX:
            raise LimitExceededError(
                f"This local cloud holds up to {limits.ALARM_COUNT_MAX} alarms: delete some first."
            )

    def _now_s(self) -> float:
        return round(self._clock.now_s(), 3)


def _no_error(_: str) -> None:
    """Say that an action is in order."""


def _told_of_turn(old: AlarmRecord, new: AlarmRecord, check_action: CheckAction) -> list[Told]:
    """Return what is told of a state that was looked at or set."""
    if new.state == old.state:
        return []
    told = [records.turned(old, new)]
    if new.state == "ALARM" and new.is_enabled:
        told += [records.acted(arn, check_action(arn)) for arn in new.actions]
    return told


def _points(data: str) -> list[float]:
    """Return the data points that StateReasonData names, as DescribeAlarms shows them."""
    try:
        # Of four thousand digits there is no float; infinity, which they become, is no data point.
        found = json.loads(data, parse_int=float)
    except ValueError:
        raise FormatError("StateReasonData is not valid JSON.") from None
    points = found.get("recentDatapoints") if isinstance(found, dict) else None
    if not isinstance(points, list):
        return []
    return [each for each in points if isinstance(each, float)]
