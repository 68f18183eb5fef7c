"""What is remembered of alarms.

Records are values. An alarm keeps the request that made it, as it came, because that is what
describing it answers; beside that its state, and why it is in it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from windtunnel.autoscaling import reasons
from windtunnel.autoscaling.alarm import AlarmRule, State, TreatMissing
from windtunnel.cloud.cloudwatch.metric import Metric
from windtunnel.cloud.cloudwatch.statistics import Statistic, statistic
from windtunnel.cloud.store.record import Record
from windtunnel.cloud.tempo import Tempo

Document = dict[str, Any]
HistoryType = Literal["ConfigurationUpdate", "StateUpdate", "Action"]
# "max": 255 on HistorySummary and 4095 on HistoryData in botocore's model; 1023 on StateReason.
_SUMMARY_CHARACTERS_MAX = 255
_DATA_CHARACTERS_MAX = 4095
_REASON_CHARACTERS_MAX = 1023


@dataclass(frozen=True)
class AlarmRecord(Record):
    """One alarm, in the state that was last committed."""

    name: str
    arn: str
    # PutMetricAlarm's members, without tags.
    request: Document
    configured_s: float
    state: State = "INSUFFICIENT_DATA"
    reason: str = reasons.INITIAL
    reason_data: str | None = None
    # When something was last said of its state, and when it last changed.
    updated_s: float = 0.0
    transitioned_s: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.name

    @property
    def metrics(self) -> list[Document]:
        """The metrics of one that watches an expression; else none."""
        return self.request.get("metrics") or []

    @property
    def period_s(self) -> int:
        """How long a period is, as its owner said it."""
        stats = [each["metric_stat"] for each in self.metrics if each.get("metric_stat")]
        return int(stats[0]["period"] if stats else self.request["period"])

    @property
    def metric(self) -> Metric | None:
        """What it watches, None where that is an expression."""
        if self.metrics:
            return None
        dimensions = [(each["name"], each["value"]) for each in self.request["dimensions"]]
        return Metric.of(self.request["namespace"], self.request["metric_name"], dimensions)

    @property
    def statistic(self) -> Statistic:
        """Which figure of it."""
        return statistic(self.statistic_name)

    @property
    def statistic_name(self) -> str:
        """The name of that; of an expression there is none."""
        return str(self.request.get("statistic") or self.request.get("extended_statistic") or "")

    @property
    def is_enabled(self) -> bool:
        """Whether going off has consequences."""
        return bool(self.request["actions_enabled"])

    @property
    def actions(self) -> list[str]:
        """What follows from ALARM: ARNs of scaling policies."""
        found: list[str] = self.request["alarm_actions"]
        return found

    def rule(self, tempo: Tempo) -> AlarmRule:
        """Return when it is in which state."""
        request = self.request
        periods = request["evaluation_periods"]
        return AlarmRule(
            name=self.name,
            threshold=request["threshold"],
            comparison=request["comparison_operator"],
            evaluation_periods=periods,
            datapoints_to_alarm=request.get("datapoints_to_alarm") or periods,
            period_s=tempo.period_s(self.period_s),
            treat_missing=cast("TreatMissing", request.get("treat_missing_data") or "missing"),
        )

    def turned(
        self, state: State, reason: str, reason_data: str | None, now_s: float
    ) -> "AlarmRecord":
        """Return it in another state."""
        return replace(
            self,
            state=state,
            reason=reason[:_REASON_CHARACTERS_MAX],
            reason_data=reason_data,
            updated_s=now_s,
            transitioned_s=now_s if state != self.state else self.transitioned_s,
        )

    def enabled(self, *, is_enabled: bool, now_s: float) -> "AlarmRecord":
        """Return it with its actions switched on or off."""
        request = {**self.request, "actions_enabled": is_enabled}
        return replace(self, request=request, configured_s=now_s)

    def shown(self) -> Document:
        """Return it as DescribeAlarms does."""
        return {
            **self.request,
            "alarm_arn": self.arn,
            "alarm_configuration_updated_timestamp": self.configured_s,
            "state_value": self.state,
            "state_reason": self.reason,
            "state_reason_data": self.reason_data,
            "state_updated_timestamp": self.updated_s,
            "state_transitioned_timestamp": self.transitioned_s,
        }


@dataclass(frozen=True)
class HistoryItem(Record):
    """Something that happened to an alarm; it outlives the alarm, as on AWS."""

    key: str
    alarm: str
    at_s: float
    kind: HistoryType
    summary: str
    data: str

    def shown(self) -> Document:
        """Return it as DescribeAlarmHistory does."""
        return {
            "alarm_name": self.alarm,
            "alarm_type": "MetricAlarm",
            "timestamp": self.at_s,
            "history_item_type": self.kind,
            "history_summary": self.summary,
            "history_data": self.data,
        }


Told = tuple[HistoryType, str, Document]


def configured(name: str, what: Literal["created", "updated", "deleted"]) -> Told:
    """Tell of an alarm that was made, changed or removed."""
    kind = {"created": "Create", "updated": "Update", "deleted": "Delete"}[what]
    return "ConfigurationUpdate", f'Alarm "{name}" {what}', {"version": "1.0", "type": kind}


def turned(before: AlarmRecord, after: AlarmRecord) -> Told:
    """Tell of an alarm that went from one state to another."""
    data = {"version": "1.0", "oldState": _state(before), "newState": _state(after)}
    return "StateUpdate", f"Alarm updated from {before.state} to {after.state}", data


def acted(arn: str, error: str | None) -> Told:
    """Tell of an action that an alarm had, and of what went wrong with it.

    The members are those of items of AWS's (aws-sdk-java#1723); a long summary is cut, not they.
    """
    state = "Succeeded" if error is None else "Failed"
    data = {"actionState": state, "notificationResource": arn, "error": error}
    if error is None:
        return "Action", f"Successfully executed action {arn}", data
    return "Action", f'Failed to execute action {arn}. Received error: "{error}"', data


def item(key: str, alarm: str, at_s: float, told: Told) -> HistoryItem:
    """Return what was told as it is kept."""
    kind, summary, data = told
    text = json.dumps(data)
    if len(text) > _DATA_CHARACTERS_MAX:
        text = json.dumps({"version": "1.0"})
    return HistoryItem(key, alarm, at_s, kind, summary[:_SUMMARY_CHARACTERS_MAX], text)


def _state(record: AlarmRecord) -> Document:
    found: Document = {"stateValue": record.state, "stateReason": record.reason}
    if record.reason_data is not None:
        found["stateReasonData"] = json.loads(record.reason_data)
    return found
