"""Why an alarm is in its state, in CloudWatch's words: StateReason, and StateReasonData's document.

Pure. The sentences are those of published notifications and DescribeAlarms answers, of which the
tests have some; numbers are written as Java writes a double, newest data point first.
"""

from datetime import UTC, datetime
from typing import Any

from windtunnel.autoscaling.alarm import Alarm, State

INITIAL = "Unchecked: Initial alarm creation"
_PHRASES = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}
# Between these Java writes a double without an exponent.
_PLAIN_FROM, _PLAIN_BELOW = 1e-3, 1e7


def state_reason(alarm: Alarm, before: State) -> str:
    """Return why an alarm is in the state it is in, having come from another."""
    rule = alarm.rule
    points = list(reversed(alarm.recent_starts_s()))
    missing = rule.evaluation_periods - len(points)
    if alarm.state == "INSUFFICIENT_DATA":
        unknown = max(missing, 1)
        return f"Insufficient Data: {_count(unknown, 'datapoint')} {_were(unknown)} unknown."
    treated = _treated(missing, _TREATED.get(rule.treat_missing))
    if not points:
        received = f"no datapoints were received for {_count(missing, 'period')}"
        return f"Threshold Crossed: {received}{treated}."
    is_alarm = alarm.state == "ALARM"
    told = [pair for pair in points if alarm.is_breached_by(pair[1]) is is_alarm] or points
    listed = ", ".join(f"{java_double(value)} ({_moment(at_s)})" for at_s, value in told)
    verb = _were(len(told)) + ("" if is_alarm else " not")
    threshold = f"{_PHRASES[rule.comparison]} the threshold ({java_double(rule.threshold)})"
    return (
        f"Threshold Crossed: {len(told)} out of the last {rule.evaluation_periods} datapoints "
        f"[{listed}] {verb} {threshold}{treated}{_transition(alarm, before)}."
    )


def reason_data(alarm: Alarm, now_s: float, statistic: str) -> dict[str, Any]:
    """Return the document that stands beside the sentence; for JSON."""
    points = alarm.recent_starts_s()
    found: dict[str, Any] = {
        "version": "1.0",
        "queryDate": _timestamp(now_s),
        "statistic": statistic,
        "period": alarm.rule.period_s,
        "recentDatapoints": [value for _, value in points],
        "threshold": alarm.rule.threshold,
    }
    if points:
        found["startDate"] = _timestamp(points[0][0])
    return found


def _transition(alarm: Alarm, before: State) -> str:
    """Return how many data points the transition took at least, where one is told of."""
    rule = alarm.rule
    if alarm.state == "ALARM":
        least, name = rule.datapoints_to_alarm, "OK -> ALARM"
    elif before == "ALARM":
        least, name = rule.evaluation_periods - rule.datapoints_to_alarm + 1, "ALARM -> OK"
    else:
        return ""
    return f" (minimum {_count(least, 'datapoint')} for {name} transition)"


def _treated(missing: int, treated: str | None) -> str:
    if missing <= 0 or treated is None:
        return ""
    were = _were(missing)
    return f" and {_count(missing, 'missing datapoint')} {were} treated as [{treated}]"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def java_double(value: float) -> str:
    """Return a number as Java's Double.toString writes it: 1.0, 8.3714617344E10, 1.0E-4."""
    if value == 0 or _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return repr(float(value))
    digits = exponent = ""
    # The shortest digits that read back as the same number.
    for places in range(17):
        digits, _, exponent = f"{value:.{places}e}".partition("e")
        if float(f"{digits}e{exponent}") == value:
            break
    if "." not in digits:
        digits += ".0"
    return f"{digits}E{int(exponent)}"


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%d/%m/%y %H:%M:%S")


def _timestamp(at_s: float) -> str:
    moment = datetime.fromtimestamp(at_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}+0000"
