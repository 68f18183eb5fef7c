"""The API in front of the rooms: whatever comes in, AWS's kind of answer comes out."""

import asyncio
import gzip
import json
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.errors import (
    InvalidError,
    ModelError,
    NotFoundError,
    ThrottledError,
    UnavailableError,
)
from windtunnel.cloud.gateway.answers import Answer
from windtunnel.cloud.gateway.api import Api, Operation
from windtunnel.cloud.gateway.identify import identify
from windtunnel.cloud.gateway.protocols.json_rpc import JsonRpc
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock
from windtunnel.http.message import Head


def _head(target: str = "SageMaker.ListModels", **headers: str) -> Head:
    pairs = [(b"x-amz-target", target.encode()), (b"content-type", b"application/x-amz-json-1.1")]
    pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Head(b"POST", b"/", pairs, keep_alive=True)


def _api(list_models: Operation) -> Api:
    return Api({"sagemaker": {"ListModels": list_models}})


async def _no_models(parsed: dict[str, Any]) -> dict[str, Any]:
    return {"models": [], "next_token": parsed.get("name_contains")}


def _answer(operation: Operation, head: Head, body: bytes, service: str = "sagemaker") -> Answer:
    return asyncio.run(_api(operation).answer(service, head, body))


def _raising(error: Exception) -> Operation:
    async def operation(parsed: dict[str, Any]) -> dict[str, Any]:
        raise error

    return operation


def test_an_operation_is_run_with_our_names_and_answered_with_awss() -> None:
    """PascalCase ends here: the rooms never see it."""
    answer = _answer(_no_models, _head(), b'{"NameContains": "abc"}')

    assert answer.status == 200
    assert json.loads(answer.body) == {"Models": [], "NextToken": "abc"}
    headers = dict(answer.headers)
    assert headers[b"Content-Type"] == b"application/x-amz-json-1.1"
    assert len(headers[b"x-amzn-RequestId"]) == 36


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (InvalidError("no"), "ValidationException", 400),
        (NotFoundError("no"), "ValidationException", 400),
        (ThrottledError("no"), "ThrottlingException", 400),
        (UnavailableError("no"), "ServiceUnavailable", 503),
    ],
)
def test_a_rooms_error_becomes_awss(error: Exception, code: str, status: int) -> None:
    """A script branches on AWS's codes."""
    answer = _answer(_raising(error), _head(), b"{}")

    assert answer.status == status
    assert json.loads(answer.body) == {"__type": code, "message": "no"}


def test_a_bug_is_logged_and_answered_without_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    """The client is told to retry; the log tells us what to mend."""
    with caplog.at_level(logging.ERROR):
        answer = _answer(_raising(ZeroDivisionError("secret detail")), _head(), b"{}")

    assert answer.status == 500
    assert json.loads(answer.body)["__type"] == "InternalFailure"
    assert b"secret" not in answer.body
    assert "secret detail" in caplog.text
    assert dict(answer.headers)[b"x-amzn-RequestId"].decode() in caplog.text


def test_an_output_outside_the_model_is_a_bug_not_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A misspelt key must not silently vanish from answers."""

    async def misspelt(parsed: dict[str, Any]) -> dict[str, Any]:
        return {"modles": []}

    with caplog.at_level(logging.ERROR):
        assert _answer(misspelt, _head(), b"{}").status == 500
    assert "modles" in caplog.text


@pytest.mark.parametrize(
    ("service", "head", "code"),
    [
        ("sagemaker", _head("SageMaker.Nonsense"), "UnknownOperationException"),
        ("sagemaker", _head("Logs.ListModels"), "UnknownOperationException"),
        ("sagemaker", _head("SageMaker.CreateTrainingJob"), "UnsupportedOperationException"),
        ("logs", _head("Logs_20140328.GetLogEvents"), "UnsupportedOperationException"),
        ("sagemaker", _head(smithy_protocol="rpc-v2-cbor"), "UnsupportedOperationException"),
    ],
)
def test_what_is_not_offered_is_told_apart_from_what_does_not_exist(
    service: str, head: Head, code: str
) -> None:
    """What is not here and what is nowhere need different cures."""
    answer = _answer(_no_models, head, b"{}", service)

    assert answer.status == 400
    assert json.loads(answer.body)["__type"] == code


def test_an_operation_not_offered_is_named() -> None:
    """The message says what is missing, and where."""
    answer = _answer(_no_models, _head("SageMaker.CreateTrainingJob"), b"{}")

    assert json.loads(answer.body)["message"] == (
        "Windtunnel's local cloud does not offer CreateTrainingJob of sagemaker."
    )


def test_an_operation_goes_on_when_its_client_leaves() -> None:
    """A half-done change would leave disk and memory of two minds."""

    async def scenario() -> list[str]:
        entered, leave = asyncio.Event(), asyncio.Event()
        done: list[str] = []

        async def slow(parsed: dict[str, Any]) -> dict[str, Any]:
            entered.set()
            await leave.wait()
            done.append("finished")
            return {"models": []}

        api = _api(slow)
        client = asyncio.create_task(api.answer("sagemaker", _head(), b"{}"))
        await entered.wait()
        client.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client
        leave.set()
        while not done:
            await asyncio.sleep(0)
        return done

    assert asyncio.run(scenario()) == ["finished"]


def test_a_served_operation_must_say_what_it_honours() -> None:
    """Forgetting it would let members be ignored."""
    with pytest.raises(AssertionError, match="CreateTrainingJob is not in coverage"):
        Api({"sagemaker": {"CreateTrainingJob": _no_models}})


def test_the_gateways_own_refusals_have_the_services_form() -> None:
    """A wrong signature must be readable by the client that sent it."""
    api = _api(_no_models)
    form = Head(
        b"POST", b"/", [(b"content-type", b"application/x-www-form-urlencoded")], keep_alive=True
    )
    bare = Head(b"PUT", b"/bucket/key", [], keep_alive=True)
    sagemaker = api.error("sagemaker", "InvalidSignatureException", "no", 400, _head())
    sts = api.error("sts", "SignatureDoesNotMatch", "no", 403, form)
    runtime = api.error("sagemaker-runtime", "MissingAuthenticationTokenException", "no", 403, bare)
    s3 = api.error("s3", "AccessDenied", "no", 403, bare)

    assert json.loads(sagemaker.body) == {"__type": "InvalidSignatureException", "message": "no"}
    assert b"<Code>SignatureDoesNotMatch</Code>" in sts.body
    assert dict(runtime.headers)[b"x-amzn-ErrorType"] == b"MissingAuthenticationTokenException"
    assert json.loads(runtime.body) == {"message": "no"}
    assert b"<Code>AccessDenied</Code>" in s3.body
    assert [each.status for each in (sagemaker, sts, runtime, s3)] == [400, 403, 403, 403]


@pytest.mark.parametrize(
    ("action", "version", "code"),
    [
        ("AssumeRoleWithWebIdentity", "2011-06-15", "UnsupportedOperationException"),
        ("AssumeRoleWithSAML", "2011-06-15", "UnsupportedOperationException"),
        ("GetCallerIdentity", "2011-06-15", "MissingAuthenticationToken"),
        ("Nonsense", "2011-06-15", "InvalidAction"),
        # IAM's.
        ("ListRoles", "2010-05-08", "MissingAuthenticationToken"),
    ],
)
def test_what_aws_answers_without_a_signature_is_refused_by_name(
    action: str, version: str, code: str
) -> None:
    """A workload with a web identity learns that this is not here, not that it has no key."""
    form = Head(
        b"POST", b"/", [(b"content-type", b"application/x-www-form-urlencoded")], keep_alive=True
    )
    api = Api({"sts": {}})
    body = urlencode({"Action": action, "Version": version}).encode()

    assert api.unsigned("sts", form, body).fault.code == code


@pytest.mark.parametrize(
    ("count", "is_apart"), [(1, False), (limits.API_INLINE_COUNT_MAX + 1, True)]
)
def test_a_large_answer_is_written_apart_from_the_loop(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    is_apart: bool,  # noqa: FBT001 - a column
) -> None:
    """Ten thousand log events take 13 ms to write: no invocation may wait for that."""
    threads: list[threading.Thread] = []
    write = JsonRpc.answer

    def watched(self: JsonRpc, *args: Any) -> Answer:
        threads.append(threading.current_thread())
        return write(self, *args)

    monkeypatch.setattr(JsonRpc, "answer", watched)

    async def many(parsed: dict[str, Any]) -> dict[str, Any]:
        return {"models": [{"model_name": "m"}] * count}

    answer = _answer(many, _head(), b"{}")

    assert len(json.loads(answer.body)["Models"]) == count
    assert (threads[0] is not threading.main_thread()) is is_apart


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"NameContains": "abc"}' + b" " * 200_000, None),
        (b'{"NameContains": "' + b"a" * 200_000 + b'"}', "ValidationException"),
        (b'{"NameContains": [' + b" " * 200_000 + b"]}", "SerializationException"),
        (b"{" + b" " * 200_000, "SerializationException"),
    ],
)
def test_a_large_request_is_read_like_a_small_one(body: bytes, code: str | None) -> None:
    """Where it is read changes neither what is taken nor how the rest is refused."""
    answer = _answer(_no_models, _head(), body)

    assert json.loads(answer.body).get("__type") == code


def test_a_throttled_invocation_has_awss_null_message() -> None:
    """boto3 retries on the code; the message is null on AWS."""
    head = Head(b"POST", b"/endpoints/e/invocations", [], keep_alive=True)
    answer = _api(_no_models).failure("sagemaker-runtime", ThrottledError("full"), head)

    assert answer.status == 400
    assert json.loads(answer.body) == {"message": None}
    assert dict(answer.headers)[b"x-amzn-ErrorType"] == b"ThrottlingException"


def test_a_containers_failure_is_a_model_error_with_all_its_parts() -> None:
    """A script reads OriginalStatusCode to tell its model's mistakes from ours."""
    head = Head(b"POST", b"/endpoints/e/invocations", [], keep_alive=True)
    error = ModelError("Received …", status=400, original="bad shape", log_stream_arn="arn:x")
    answer = _api(_no_models).failure("sagemaker-runtime", error, head)

    assert answer.status == 424
    assert dict(answer.headers)[b"x-amzn-ErrorType"] == b"ModelError"
    assert json.loads(answer.body) == {
        "Message": "Received …",
        "OriginalStatusCode": 400,
        "OriginalMessage": "bad shape",
        "LogStreamArn": "arn:x",
    }


def _answer_of_cloudwatch(
    path: Path, head: Head, body: bytes, signed_for: str | None = None
) -> Answer:
    """Return what CloudWatch answers that was told of one invocation."""

    async def scenario() -> Answer:
        clock = ManualClock()
        cloudwatch = CloudWatch(clock, await Archive.open(path / "metrics"))
        cloudwatch.record(
            InvocationRecord("e", "v", clock.now_s(), 200, 0.01, 0.001, 1, is_model_error=False)
        )
        try:
            api = Api({"cloudwatch": cloudwatch.operations()})
            service = identify(head, signed_for)
            return await api.answer(service, head, body)
        finally:
            await cloudwatch.close()

    return asyncio.run(scenario())


def test_cloudwatchs_newest_clients_speak_cbor(tmp_path: Path) -> None:
    """The operation is in the path, and there is no X-Amz-Target."""
    path = b"/service/GraniteServiceVersion20100801/operation/ListMetrics"
    head = Head(b"POST", path, [(b"smithy-protocol", b"rpc-v2-cbor")], keep_alive=True)
    answer = _answer_of_cloudwatch(tmp_path, head, b"\xa1\x6aMetricName\x6bInvocations")

    assert answer.status == 200, answer.body
    (metric,) = cbor2.loads(answer.body)["Metrics"]
    assert metric["Namespace"] == "AWS/SageMaker"
    assert metric["Dimensions"][0] == {"Name": "EndpointName", "Value": "e"}
    other = Head(b"POST", path[:-4] + b"s", [(b"smithy-protocol", b"rpc-v2-cbor")], keep_alive=True)
    refused = _answer_of_cloudwatch(tmp_path, other, b"")
    assert cbor2.loads(refused.body)["__type"] == "UnknownOperationException"


def _put(body: bytes, **headers: str) -> Answer:
    head = Head(
        b"POST",
        b"/",
        [
            (b"x-amz-target", b"GraniteServiceVersion20100801.PutMetricData"),
            *((name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()),
        ],
        keep_alive=True,
    )

    async def put(parsed: dict[str, Any]) -> dict[str, Any]:
        assert parsed["namespace"] == "Own"
        return {}

    return asyncio.run(Api({"cloudwatch": {"PutMetricData": put}}).answer("cloudwatch", head, body))


def test_large_requests_come_compressed() -> None:
    """boto3 compresses a PutMetricData of 10 KB and more without being asked."""
    body = json.dumps({"Namespace": "Own", "MetricData": []}).encode()

    assert _put(gzip.compress(body), content_encoding="gzip").status == 200
    for wrong in (body, gzip.compress(body)[:-9]):
        answer = _put(wrong, content_encoding="gzip")
        assert json.loads(answer.body)["__type"] == "SerializationException"


def test_a_small_body_that_becomes_a_large_one_is_refused() -> None:
    """A kilobyte of gzip can hold a megabyte of blanks, or a thousand."""
    bomb = gzip.compress(b" " * 50_000_000)
    answer = _put(bomb, content_encoding="gzip")

    assert len(bomb) < 100_000
    assert answer.status == 413


def test_cloudwatchs_older_clients_speak_forms_and_read_xml(tmp_path: Path) -> None:
    """boto3 of some years ago, and many exporters, never learnt its JSON."""
    form = urlencode(
        {
            "Action": "GetMetricStatistics",
            "Version": "2010-08-01",
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocations",
            "Dimensions.member.1.Name": "EndpointName",
            "Dimensions.member.1.Value": "e",
            "Dimensions.member.2.Name": "VariantName",
            "Dimensions.member.2.Value": "v",
            "StartTime": "2023-11-14T22:10:00Z",
            "EndTime": "2023-11-14T22:20:00Z",
            "Period": "60",
            "Statistics.member.1": "Sum",
        }
    )
    head = Head(
        b"POST", b"/", [(b"content-type", b"application/x-www-form-urlencoded")], keep_alive=True
    )
    answer = _answer_of_cloudwatch(tmp_path, head, form.encode(), "monitoring")

    assert answer.status == 200, answer.body
    assert b"<Timestamp>2023-11-14T22:13:00Z</Timestamp>" in answer.body
    assert b"<Sum>1.0</Sum>" in answer.body


@pytest.mark.slow
@settings(max_examples=300)
@given(
    service=st.sampled_from(["sagemaker", "sts", "cloudwatch", "iam", "sagemaker-runtime"]),
    method=st.sampled_from([b"GET", b"POST", b"PUT"]),
    target=st.binary(max_size=40).map(lambda junk: b"/" + junk),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"x-amz-target", b"content-type", b"smithy-protocol", b"x"]),
            st.sampled_from(
                [
                    b"SageMaker.ListModels",
                    b"SageMaker.",
                    b"application/x-www-form-urlencoded",
                    b"application/x-amz-json-1.1",
                    b"\xff",
                ]
            ),
        ),
        max_size=4,
    ),
    body=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=30).map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_junk_never_gets_more_than_a_refusal(
    service: str, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Never HTML, never a stack trace, never a 500: the service is open to whatever is sent."""
    head = Head(method, target, headers, keep_alive=True)
    answer = _answer(_no_models, head, body, service)

    assert answer.status in (200, 400)
    if answer.status == 400:
        assert b"Error" in answer.body or b"Exception" in answer.body or b"message" in answer.body
