"""Logs' operations, each on what it makes for itself."""

import time
from collections.abc import Callable
from typing import Any

from tests.contract.samples import Cases


def _log_stream_then(operation: str, **request: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        client.create_log_group(logGroupName=name, tags={"made-by": "contract"})
        client.create_log_stream(logGroupName=name, logStreamName="s")
        client.put_log_events(
            logGroupName=name,
            logStreamName="s",
            logEvents=[{"timestamp": int(time.time() * 1000), "message": "hello"}],
        )
        arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{name}"
        told = {
            key: value.format(name=name, arn=arn) if isinstance(value, str) else value
            for key, value in request.items()
        }
        return getattr(client, operation)(**told)

    return call


CASES: Cases = {
    ("logs", "CreateLogGroup"): lambda client, name: client.create_log_group(logGroupName=name),
    ("logs", "CreateLogStream"): _log_stream_then(
        "create_log_stream", logGroupName="{name}", logStreamName="another"
    ),
    ("logs", "DeleteLogGroup"): _log_stream_then("delete_log_group", logGroupName="{name}"),
    ("logs", "DeleteLogStream"): _log_stream_then(
        "delete_log_stream", logGroupName="{name}", logStreamName="s"
    ),
    ("logs", "DeleteRetentionPolicy"): _log_stream_then(
        "delete_retention_policy", logGroupName="{name}"
    ),
    ("logs", "DescribeLogGroups"): _log_stream_then(
        "describe_log_groups", logGroupNamePrefix="{name}"
    ),
    ("logs", "DescribeLogStreams"): _log_stream_then("describe_log_streams", logGroupName="{name}"),
    ("logs", "FilterLogEvents"): _log_stream_then("filter_log_events", logGroupName="{name}"),
    ("logs", "GetLogEvents"): _log_stream_then(
        "get_log_events", logGroupIdentifier="{arn}", logStreamName="s"
    ),
    ("logs", "ListTagsForResource"): _log_stream_then(
        "list_tags_for_resource", resourceArn="{arn}"
    ),
    ("logs", "PutLogEvents"): _log_stream_then(
        "put_log_events",
        logGroupName="{name}",
        logStreamName="s",
        logEvents=[{"timestamp": 1, "message": "too old"}],
    ),
    ("logs", "PutRetentionPolicy"): _log_stream_then(
        "put_retention_policy", logGroupName="{name}", retentionInDays=7
    ),
    ("logs", "TagResource"): _log_stream_then(
        "tag_resource", resourceArn="{arn}", tags={"more": "tags"}
    ),
    ("logs", "UntagResource"): _log_stream_then(
        "untag_resource", resourceArn="{arn}", tagKeys=["made-by"]
    ),
}
