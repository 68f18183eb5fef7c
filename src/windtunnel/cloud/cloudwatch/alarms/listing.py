"""Which alarms, and which items of their history, a question is about; pure."""

import json
from collections.abc import Iterable
from typing import Any

from windtunnel.cloud.cloudwatch.alarms.records import AlarmRecord, HistoryItem
from windtunnel.cloud.cloudwatch.errors import CombinationError, TokenError
from windtunnel.cloud.cloudwatch.metric import Metric
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.paging import page

Document = dict[str, Any]
# "max": 100 on MaxRecords in botocore's model.
_PAGE_COUNT_MAX = 100


def alarms_page(request: Document, records: Iterable[AlarmRecord]) -> Document:
    """Return a page of DescribeAlarms: by name, prefix, state or action."""
    names, prefix = request.get("alarm_names"), request.get("alarm_name_prefix")
    if names and prefix:
        raise CombinationError("AlarmNamePrefix and AlarmNames are mutually exclusive.")
    if request.get("alarm_types") not in (None, []) and "MetricAlarm" not in request["alarm_types"]:
        return {"metric_alarms": [], "composite_alarms": []}
    state, action = request.get("state_value"), request.get("action_prefix")
    wanted = set(names or ())
    chosen = [
        each
        for each in sorted(records, key=lambda each: each.name)
        if (not wanted or each.name in wanted)
        and (prefix is None or each.name.startswith(prefix))
        and (state is None or each.state == state)
        and (action is None or any(arn.startswith(action) for arn in each.actions))
    ]
    shown, token = _page(request, chosen, lambda each: [each.name], is_descending=False)
    return {
        "metric_alarms": [each.shown() for each in shown],
        "composite_alarms": [],
        "next_token": token,
    }


def alarms_of_metric(request: Document, records: Iterable[AlarmRecord]) -> Document:
    """Return DescribeAlarmsForMetric's answer: alarms on exactly this metric."""
    dimensions = [(each["name"], each["value"]) for each in request.get("dimensions") or ()]
    metric = Metric.of(request["namespace"], request["metric_name"], dimensions)
    same = ("statistic", "extended_statistic", "period", "unit")
    chosen = [
        each.shown()
        for each in sorted(records, key=lambda each: each.name)
        if each.metric == metric
        and all(request.get(key) in (None, each.request.get(key)) for key in same)
    ]
    return {"metric_alarms": chosen}


def history_page(request: Document, items: Iterable[HistoryItem]) -> Document:
    """Return a page of DescribeAlarmHistory, newest first unless asked otherwise."""
    name, kind = request.get("alarm_name"), request.get("history_item_type")
    start_s, end_s = request.get("start_date"), request.get("end_date")
    if start_s is not None and end_s is not None and start_s > end_s:
        raise InvalidError("The parameter StartDate must be less than the parameter EndDate.")
    types = request.get("alarm_types") or ["MetricAlarm"]
    is_descending = request.get("scan_by", "TimestampDescending") == "TimestampDescending"
    chosen = sorted(
        (
            each
            for each in items
            if "MetricAlarm" in types
            and name in (None, each.alarm)
            and kind in (None, each.kind)
            and (start_s is None or each.at_s >= start_s)
            and (end_s is None or each.at_s <= end_s)
        ),
        key=lambda each: each.key,
        reverse=is_descending,
    )
    shown, token = _page(request, chosen, lambda each: [each.key], is_descending=is_descending)
    return {"alarm_history_items": [each.shown() for each in shown], "next_token": token}


def _page(request: Document, chosen: list[Any], place_of: Any, *, is_descending: bool) -> Any:  # noqa: ANN401 - of either kind
    question = {key: value for key, value in request.items() if key != "next_token"}
    try:
        return page(
            chosen,
            place_of,
            question=json.dumps(question, sort_keys=True),
            token=request.get("next_token"),
            size=request.get("max_records", _PAGE_COUNT_MAX),
            is_descending=is_descending,
        )
    except InvalidError as error:
        raise TokenError(error.message) from None
