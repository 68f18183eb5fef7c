"""docs/coverage.md: what of AWS's API is here, operation by operation, as the code has it.

    python -m windtunnel.cloud.gateway.coverage_page > docs/coverage.md

A test compares the page with what this writes.
"""

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from windtunnel.cloud.foundation.s3.attributes import REFUSED_PREFIXES
from windtunnel.cloud.foundation.s3.operations import OPERATIONS as S3_OPERATIONS
from windtunnel.cloud.gateway import invocation
from windtunnel.cloud.gateway.coverage import ALL, HONOURED, Honoured, Only
from windtunnel.cloud.gateway.shapes import Member, Shape, load_service

_TITLES = {
    "sagemaker": "SageMaker",
    "sagemaker-runtime": "SageMaker Runtime",
    "s3": "S3",
    "sts": "STS",
    "iam": "IAM",
    "cloudwatch": "CloudWatch",
    "logs": "CloudWatch Logs",
    "application-autoscaling": "Application Auto Scaling",
}
_HEAD = """\
# What of AWS's API is here

Written by `python -m windtunnel.cloud.gateway.coverage_page` from the tables that the gateway works
with; operations and members are those of botocore's service models.

*whole*: every member of the request is honoured. *partly*: what is named beside it is refused, in
AWS's own kind of error and by its name, and so are the values that stand below a table. Every
operation that is not in a table is refused likewise.
"""
# What the rooms refuse by name though their members are honoured.
_BESIDES = {
    "sagemaker": "images other than <registry>/tensorflow-inference, those that compilation jobs "
    "name and local/command; model data that is not in S3; compilation for edge devices, Lambda, "
    "Inferentia, Trainium and Elastic Inference; tags on what is neither model nor endpoint "
    "config nor endpoint nor compilation job",
    "s3": "encryption other than `AES256` and `aws:kms` without a key named (which are taken; "
    "nothing is encrypted), versions, checksums by XXHASH",
    "iam": "policies other than a role's inline ones and AWS's managed ones",
    "cloudwatch": "the statistics IQM, TM, TC, TS, WM and PR; of metric math SEARCH, Metrics "
    "Insights, ANOMALY_DETECTION_BAND, INSIGHT_RULE_METRIC, SERVICE_QUOTA and DB_PERF_INSIGHTS; "
    "dynamic labels; alarm actions other than scaling policies, alarms on metrics of several "
    "periods",
    "application-autoscaling": "schedules of seven fields",
    "logs": "filter patterns of space-delimited events, regular expressions in JSON patterns, `?` "
    "terms beside others",
}


def page() -> str:
    """Return the page."""
    offered = _offered()
    services = sorted(offered, key=list(_TITLES).index)
    return "\n".join([_HEAD, *(_section(service, offered[service]) for service in services)])


def _offered() -> Mapping[str, Mapping[str, Honoured]]:
    """Return the tables of all services, also of those that keep theirs elsewhere."""
    return {
        **HONOURED,
        "sagemaker-runtime": {"InvokeEndpoint": _of_invocation()},
        "s3": {name: _of_s3(name) for name in S3_OPERATIONS},
    }


def _members(service: str, operation: str) -> tuple[Member, ...]:
    shape = load_service(service).operation(operation).input
    return () if shape is None else shape.members


def _of_invocation() -> Honoured:
    members = _members("sagemaker-runtime", "InvokeEndpoint")
    refused = invocation.NOT_HERE.values()
    return {member.name: ALL for member in members if member.name not in refused}


def _of_s3(operation: str) -> Honoured:
    return {
        member.name: ALL
        for member in _members("s3", operation)
        if not member.wire.lower().startswith(REFUSED_PREFIXES)
    }


def _section(service: str, honoured: Mapping[str, Honoured]) -> str:
    model = load_service(service)
    missing = model.operation_names - honoured.keys()
    count = len(model.operation_names) - len(missing)
    lines = [
        f"## {_TITLES[service]}",
        "",
        f"{count} of {len(model.operation_names)} operations.",
        "",
        "| operation | here | refused of it |",
        "|---|---|---|",
    ]
    for name in sorted(honoured):
        shape = model.operation(name).input
        refused = [] if shape is None else list(_refused(shape, honoured[name], ""))
        lines.append(f"| {name} | {'partly' if refused else 'whole'} | {', '.join(refused)} |")
    if service in _BESIDES:
        lines += ["", f"Refused besides: {_BESIDES[service]}."]
    if missing:
        lines += ["", f"Not here: {_sentence(missing)}."]
    return "\n".join(lines) + "\n"


def _refused(shape: Shape, honoured: Honoured, prefix: str) -> Iterator[str]:
    """Yield what of a request's shape is refused: members, and values of members."""
    for member in shape.members:
        name = prefix + member.name
        rule: Any = honoured.get(member.name)
        if rule is None:
            yield name
        elif isinstance(rule, Only):
            values = " or ".join(
                str(value).lower() if value in (True, False) else str(value)
                for value in rule.values
            )
            if set(member.shape.enum or ()) != set(rule.values):
                yield f"{name} other than {values}"
        elif isinstance(rule, Mapping):
            inner = member.shape
            yield from _refused(
                inner.member.shape if inner.kind == "list" else inner, rule, f"{name}."
            )


def _sentence(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


if __name__ == "__main__":
    sys.stdout.write(page())
