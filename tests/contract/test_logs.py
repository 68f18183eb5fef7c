"""CloudWatch Logs through boto3: an instance's output, followed, searched, listed; and refusals."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from windtunnel.cloud.fleet.logs import Log, tend

GROUP = "/aws/sagemaker/Endpoints/demo"
STREAMS = ("AllTraffic/i-0a", "AllTraffic/i-0b", "Canary/i-0c")


@pytest.fixture(scope="module")
def instances(contract: Any) -> Iterator[list[Log]]:
    """Three instances that have written ten lines each, in turns."""
    opened = [
        Log(contract.log_folder / "endpoints" / "demo" / f"{stream}.log") for stream in STREAMS
    ]
    start_s = time.time() - 60
    for number in range(10):
        for turn, log in enumerate(opened):
            kind = "ERROR" if number == 7 else "INFO"
            os.write(log.descriptor, f"{kind} line {number} of {STREAMS[turn]}\n".encode())
            tend(opened, start_s + number * 3 + turn)
    yield opened
    for log in opened:
        log.close()


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("instances")]


def test_a_streams_events_are_paged_until_the_token_stays(logs: Any) -> None:
    """The loop in AWS's examples ends when the same token comes back, and at no other time."""
    request = {"logGroupName": GROUP, "logStreamName": STREAMS[0], "limit": 4}
    answer = logs.get_log_events(**request, startFromHead=True)
    pages = [answer]
    for _ in range(20):
        token = answer["nextForwardToken"]
        answer = logs.get_log_events(**request, startFromHead=True, nextToken=token)
        if answer["nextForwardToken"] == token:
            break
        pages.append(answer)

    assert answer["events"] == []
    messages = [event["message"] for page in pages for event in page["events"]]
    assert [message.split()[2] for message in messages] == [str(n) for n in range(10)]
    # And all the way back from the end.
    back: list[str] = []
    for _ in range(20):
        token = answer["nextBackwardToken"]
        answer = logs.get_log_events(**request, nextToken=token)
        back = [event["message"] for event in answer["events"]] + back
        if answer["nextBackwardToken"] == token:
            break
    assert back == messages


def test_the_latest_events_come_first_unless_told_otherwise(logs: Any) -> None:
    """Without `startFromHead` AWS answers the end of the log, in its order."""
    answer = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAMS[0], limit=2)

    assert [event["message"].split()[2] for event in answer["events"]] == ["8", "9"]
    assert answer["events"][0]["timestamp"] <= answer["events"][0]["ingestionTime"]


def test_times_bound_as_each_operation_says(logs: Any) -> None:
    """`endTime` is left out by GetLogEvents and taken in by FilterLogEvents, as on AWS."""
    every = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAMS[0])["events"]
    times = {"startTime": every[2]["timestamp"], "endTime": every[5]["timestamp"]}
    got = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAMS[0], **times)["events"]
    found = logs.filter_log_events(logGroupName=GROUP, logStreamNames=[STREAMS[0]], **times)

    assert [event["message"] for event in got] == [event["message"] for event in every[2:5]]
    assert [e["message"] for e in found["events"]] == [e["message"] for e in every[2:6]]


def test_a_search_goes_over_all_streams_in_the_order_of_time(logs: Any) -> None:
    """Which instance failed first? boto3's paginator sees every event once."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": 7}
    )
    events = [event for page in pages for event in page["events"]]

    assert [event["logStreamName"] for event in events] == list(STREAMS) * 10
    assert [event["timestamp"] for event in events] == sorted(e["timestamp"] for e in events)
    assert len({event["eventId"] for event in events}) == 30


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        ({"filterPattern": "ERROR"}, 3),
        ({"filterPattern": '"line 7" -Canary'}, 2),
        ({"filterPattern": "?ERROR ?Canary"}, 12),
        ({"filterPattern": "%line [12] of All%"}, 4),
        ({"logStreamNamePrefix": "AllTraffic/"}, 20),
        ({"logStreamNames": [STREAMS[2], STREAMS[0]], "filterPattern": "ERROR"}, 2),
        ({"filterPattern": "nowhere"}, 0),
        ({"interleaved": True, "limit": 5}, 5),
    ],
)
def test_a_search_finds_what_is_asked_for(logs: Any, request_: dict[str, Any], count: int) -> None:
    """Terms, phrases, alternatives and expressions, over some streams or all."""
    assert len(logs.filter_log_events(logGroupName=GROUP, **request_)["events"]) == count


def test_streams_are_listed_by_name_and_by_their_last_event(logs: Any) -> None:
    """`orderBy=LastEventTime, descending, limit=1` is how scripts find the newest instance."""
    by_name = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert [each["logStreamName"] for each in by_name] == list(STREAMS)
    assert by_name[0]["arn"] == (
        f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:log-stream:{STREAMS[0]}"
    )
    newest = logs.describe_log_streams(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=1
    )
    assert newest["logStreams"][0]["logStreamName"] == STREAMS[2]
    following = logs.describe_log_streams(
        logGroupName=GROUP,
        orderBy="LastEventTime",
        descending=True,
        limit=2,
        nextToken=newest["nextToken"],
    )
    assert [each["logStreamName"] for each in following["logStreams"]] == [STREAMS[1], STREAMS[0]]
    canary = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="Can")["logStreams"]
    assert [each["logStreamName"] for each in canary] == [STREAMS[2]]


def test_groups_are_listed_by_prefix_and_by_part(logs: Any) -> None:
    """An endpoint's group is found by the endpoint's name."""
    for request in ({"logGroupNamePrefix": "/aws/sage"}, {"logGroupNamePattern": "points/dem"}):
        [group] = logs.describe_log_groups(**request)["logGroups"]
        assert group["logGroupName"] == GROUP
        assert group["arn"] == f"{group['logGroupArn']}:*"
        assert group["storedBytes"] > 0
    for number in range(3):
        logs.create_log_group(logGroupName=f"paged-{number}")
    pages = logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix="paged-", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["logGroups"]) for page in pages] == [2, 1]


_NO_GROUP = ("ResourceNotFoundException", "The specified log group does not exist.")
_NO_STREAM = ("ResourceNotFoundException", "The specified log stream does not exist.")
_INVALID = "InvalidParameterException"
_STREAM = {"logGroupName": GROUP, "logStreamName": STREAMS[0]}


@pytest.mark.parametrize(
    ("operation", "request_", "code", "words"),
    [
        ("describe_log_streams", {"logGroupName": "none"}, *_NO_GROUP),
        ("get_log_events", {"logGroupName": "none", "logStreamName": "s"}, *_NO_GROUP),
        ("get_log_events", {**_STREAM, "logStreamName": "s"}, *_NO_STREAM),
        ("get_log_events", {**_STREAM, "logStreamName": "../demo/i-0a"}, *_NO_STREAM),
        ("filter_log_events", {"logGroupName": "/aws/sagemaker/Endpoints/.."}, *_NO_GROUP),
        ("filter_log_events", {"logGroupName": GROUP, "logStreamNames": ["s"]}, *_NO_STREAM),
        (
            "describe_log_streams",
            {"logGroupIdentifier": f"arn:aws:logs:eu-west-1:000000000000:log-group:{GROUP}"},
            *_NO_GROUP,
        ),
        ("describe_log_streams", {}, _INVALID, "Exactly one of the parameters"),
        (
            "describe_log_streams",
            {"logGroupName": GROUP, "orderBy": "LastEventTime", "logStreamNamePrefix": "a"},
            _INVALID,
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ),
        ("describe_log_streams", {"logGroupName": GROUP, "limit": 51}, _INVALID, "equal to 50"),
        ("describe_log_groups", {"nextToken": "x"}, _INVALID, "nextToken does not belong"),
        ("get_log_events", {**_STREAM, "nextToken": "x"}, _INVALID, "nextToken is invalid"),
        (
            "get_log_events",
            {**_STREAM, "nextToken": f"f/{'9' * 56}/s"},
            _INVALID,
            "nextToken is invalid",
        ),
        ("get_log_events", {**_STREAM, "unmask": True}, _INVALID, "does not offer unmask 'true'"),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "logStreamNames": [STREAMS[0]], "logStreamNamePrefix": "A"},
            _INVALID,
            "only specify one of",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "filterPattern": "[a, b]"},
            _INVALID,
            "space-delimited",
        ),
        ("filter_log_events", {"logGroupName": GROUP, "filterPattern": "a-b"}, _INVALID, "'a-b'"),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "startFromHead": False},
            _INVALID,
            "does not offer startFromHead 'false'",
        ),
        (
            "create_log_group",
            {"logGroupName": GROUP},
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        ),
        ("create_log_group", {"logGroupName": "a b"}, _INVALID, "regular expression pattern"),
        ("create_log_group", {"logGroupName": "aws/x"}, _INVALID, "can't start with"),
        ("create_log_group", {"logGroupName": "g", "kmsKeyId": "k"}, _INVALID, "kmsKeyId"),
        (
            "put_retention_policy",
            {"logGroupName": GROUP, "retentionInDays": 2},
            _INVALID,
            "retentionInDays 2 is not one of",
        ),
        (
            "start_query",
            {"logGroupName": GROUP, "startTime": 0, "endTime": 1, "queryString": "fields @message"},
            "UnsupportedOperationException",
            "does not offer StartQuery of logs",
        ),
    ],
)
def test_what_is_wrong_is_said_in_awss_words(
    logs: Any, operation: str, request_: dict[str, Any], code: str, words: str
) -> None:
    """Scripts create a group on ResourceNotFoundException, and go on when it exists."""
    with pytest.raises(ClientError) as caught:
        getattr(logs, operation)(**request_)

    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
