"""PutMetricData: what users measured, checked and made into samples.

Pure. Either everything in a request is taken or, when this raises, nothing. The bounds are those of
AWS's page on PutMetricData and of botocore's on MetricDatum; the wording is CloudWatch's where it
is known (from localstack's test_cloudwatch.py, which is held against AWS).
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from windtunnel.cloud.cloudwatch.errors import CombinationError, MissingParameterError
from windtunnel.cloud.cloudwatch.metric import Metric, Sample
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.errors import InvalidError
from windtunnel.core import limits

_RESERVED = "AWS/"
_HIGH_RESOLUTION = 1
_RESOLUTIONS = (_HIGH_RESOLUTION, 60)
_FORMS = {"value": "Value", "values": "Values", "statistic_values": "StatisticValues"}


def samples_of_put(request: dict[str, Any], now_s: float) -> list[Sample]:
    """Return the samples of a request, or raise what is wrong with it."""
    namespace: str = request["namespace"]
    if namespace.startswith(_RESERVED) or not _is_printable(namespace):
        raise InvalidError(f"The value {namespace} for parameter Namespace is invalid.")
    data: list[dict[str, Any]] = request.get("metric_data") or []
    if not data:
        raise MissingParameterError("The parameter MetricData is required.")
    _check_size(data, limits.METRIC_PUT_COUNT_MAX, "MetricData")
    return [
        _sample(namespace, datum, f"MetricData.member.{index}", now_s)
        for index, datum in enumerate(data, 1)
    ]


def _sample(namespace: str, datum: dict[str, Any], where: str, now_s: float) -> Sample:
    resolution = datum.get("storage_resolution", _RESOLUTIONS[-1])
    if resolution not in _RESOLUTIONS:
        raise InvalidError(
            f"The value {resolution} for parameter {where}.StorageResolution is invalid."
        )
    at_s = datum.get("timestamp", now_s)
    if at_s > now_s + limits.METRIC_PUT_AHEAD_S_MAX:
        raise InvalidError(
            f"The parameter {where}.Timestamp must specify a time no more than two hours in the "
            "future."
        )
    if at_s < now_s - limits.METRIC_PUT_AGE_S_MAX:
        raise InvalidError(
            f"The parameter {where}.Timestamp must specify a time within the past two weeks."
        )
    name: str = datum["metric_name"]
    if not _is_printable(name):
        raise InvalidError(f"The value {name!r} for parameter {where}.MetricName is invalid.")
    return Sample(
        Metric.of(namespace, name, _dimensions(datum.get("dimensions") or [], where)),
        datum.get("unit", "None"),
        int(at_s),
        _summary(datum, where),
        resolution == _HIGH_RESOLUTION,
    )


def _dimensions(given: Sequence[dict[str, str]], where: str) -> Iterable[tuple[str, str]]:
    for index, each in enumerate(given, 1):
        for part, text in (("Name", each["name"]), ("Value", each["value"])):
            if not text.isascii() or not text.isprintable() or not text.strip():
                raise InvalidError(
                    f"The value {text!r} for parameter {where}.Dimensions.member.{index}.{part} "
                    "must contain only ASCII characters, none of them a control character, and at "
                    "least one that is not white space."
                )
        if each["name"].startswith(":"):
            raise InvalidError(
                f"The value {each['name']} for parameter {where}.Dimensions.member.{index}.Name "
                "must not start with a colon."
            )
    pairs = [(each["name"], each["value"]) for each in given]
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidError(f"The parameter {where}.Dimensions must not name a dimension twice.")
    return pairs


def _summary(datum: dict[str, Any], where: str) -> Summary:
    forms = [key for key in _FORMS if datum.get(key) not in (None, [])]
    if len(forms) > 1:
        first, second = (f"{where}.{_FORMS[key]}" for key in forms[:2])
        raise CombinationError(
            f"The parameters {first} and {second} are mutually exclusive and you have specified "
            "both."
        )
    if not forms:
        raise MissingParameterError(
            f"At least one of the parameters {where}.Value, {where}.Values and "
            f"{where}.StatisticValues must be specified."
        )
    if datum.get("counts") and forms != ["values"]:
        raise CombinationError(
            f"The parameter {where}.Counts must be given together with {where}.Values."
        )
    if forms == ["value"]:
        _check_value(datum["value"], f"{where}.Value")
        return Summary.of_value(datum["value"] + 0.0)
    if forms == ["values"]:
        return _of_counts(datum["values"], datum.get("counts"), where)
    return _of_set(datum["statistic_values"], f"{where}.StatisticValues")


def _of_counts(values: list[float], counts: list[float] | None, where: str) -> Summary:
    _check_size(values, limits.METRIC_PUT_VALUE_COUNT_MAX, f"{where}.Values")
    counts = counts or [1.0] * len(values)
    if len(counts) != len(values):
        raise InvalidError(
            f"The parameters {where}.Values and {where}.Counts must be of the same size."
        )
    for index, (value, count) in enumerate(zip(values, counts, strict=True), 1):
        _check_value(value, f"{where}.Values.member.{index}")
        _check_count(count, f"{where}.Counts.member.{index}")
    return Summary.of_counts([value + 0.0 for value in values], counts)


def _of_set(given: dict[str, float], where: str) -> Summary:
    count, total = given["sample_count"], given["sum"]
    low, high = given["minimum"], given["maximum"]
    _check_count(count, f"{where}.SampleCount")
    for part, value in (("Sum", total), ("Minimum", low), ("Maximum", high)):
        _check_value(value, f"{where}.{part}")
    if low > high:
        raise InvalidError(f"The parameter {where}.Minimum must not exceed {where}.Maximum.")
    return Summary.of_set(count, total, low + 0.0, high + 0.0)


def _check_value(value: float, where: str) -> None:
    if not math.isfinite(value) or abs(value) > limits.METRIC_VALUE_MAX:
        raise InvalidError(f"The value {value} for parameter {where} is invalid.")


def _check_count(count: float, where: str) -> None:
    if not 0 < count <= limits.METRIC_VALUE_MAX:
        raise InvalidError(f"The value {count} for parameter {where} is invalid.")


def _check_size(given: Sequence[Any], size_max: int, where: str) -> None:
    if len(given) > size_max:
        raise InvalidError(f"The collection {where} must not have a size greater than {size_max}.")


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
