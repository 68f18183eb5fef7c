"""Both directions of every protocol, against botocore's own client side as the oracle.

botocore writes a request and our side must read what was meant; our side writes an answer and
botocore must read what was meant. The values are drawn from the shapes themselves.
"""

import contextlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

import cbor2
import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windtunnel.cloud.gateway.answers import Answer, Fault, FaultError
from windtunnel.cloud.gateway.protocols.json_rpc import JsonRpc
from windtunnel.cloud.gateway.protocols.query_rpc import QueryRpc
from windtunnel.cloud.gateway.protocols.rest import RestJson, s3_error
from windtunnel.cloud.gateway.protocols.rpc_v2_cbor import RpcV2Cbor
from windtunnel.cloud.gateway.shapes import load_service
from windtunnel.http.message import Head

pytestmark = pytest.mark.slow

_PROPERTY = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Shapes may hold themselves; deeper than this nothing new happens.
_DEPTH_MAX = 4
# XML 1.0 has no other characters; JSON takes these as well.
_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r&<>\"'"),
    max_size=8,
)


@cache
def _botocore_model(service: str) -> Any:
    loader = Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
    )
    return BotocoreModel(loader.load_service_model(service, "service-2"), service)


@cache
def _operation_names(service: str) -> list[str]:
    return sorted(_botocore_model(service).operation_names)


def _moments(digits: int) -> st.SearchStrategy[datetime]:
    unit = 10 ** (6 - digits)
    # 2001 to 2065: as far as double precision keeps microseconds apart.
    return st.integers(10**9 * 10**digits, 3 * 10**9 * 10**digits).map(
        lambda count: _EPOCH + timedelta(microseconds=count * unit)
    )


_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_SCALARS = {
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": _FLOATS,
    "double": _FLOATS,
    "boolean": st.booleans(),
    "blob": st.binary(max_size=8),
}


def _values(shape: Any, *, size_min: int, digits: int, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return values of a shape in botocore's form; a form cannot say that something is empty."""

    def inner(part: Any) -> st.SearchStrategy[Any]:
        return _values(part, size_min=size_min, digits=digits, depth=depth + 1)

    match shape.type_name:
        case "structure":
            usable = {
                name: inner(part)
                for name, part in shape.members.items()
                if not part.serialization.get("jsonvalue") and not _is_too_deep(part, depth)
            }
            return _structures(usable, size_min, is_union=shape.is_tagged_union)
        case "list":
            return st.lists(inner(shape.member), min_size=size_min, max_size=2)
        case "map":
            keys = _texts(shape.key)
            return st.dictionaries(keys, inner(shape.value), min_size=size_min, max_size=2)
        case "timestamp":
            return _moments(digits)
        case kind:
            return _SCALARS[kind] if kind in _SCALARS else _texts(shape)


def _texts(shape: Any) -> st.SearchStrategy[str]:
    return st.sampled_from(shape.enum) if shape.enum else _TEXT


def _structures(
    usable: dict[str, st.SearchStrategy[Any]], size_min: int, *, is_union: bool
) -> st.SearchStrategy[dict[str, Any]]:
    if not usable:
        return st.just({})
    names = st.sets(
        st.sampled_from(sorted(usable)),
        min_size=1 if is_union else size_min,
        max_size=1 if is_union else 4,
    )
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: usable[name] for name in chosen})
    )


def _is_too_deep(shape: Any, depth: int) -> bool:
    if shape.type_name == "structure" and not shape.members:
        # Nothing is written of it in a form; what is not written cannot be read.
        return True
    return depth >= _DEPTH_MAX and shape.type_name in ("structure", "list", "map")


def _ours(shape: Any, value: Any) -> Any:
    """Return botocore's form of a value in the project's, by rules of the test's own."""
    match shape.type_name:
        case "structure":
            return {
                xform_name(name): _ours(shape.members[name], part) for name, part in value.items()
            }
        case "list":
            return [_ours(shape.member, part) for part in value]
        case "map":
            return {key: _ours(shape.value, part) for key, part in value.items()}
        case "timestamp":
            return (value - _EPOCH) / timedelta(seconds=1)
        case _:
            return value


# Two that declare it beside CloudWatch, with blobs, longs and shapes that hold themselves.
_CBOR_SERVICES = ["cloudwatch", "codebuild", "acm-pca"]


def _protocol(name: str) -> JsonRpc | QueryRpc | RpcV2Cbor:
    protocols: list[JsonRpc | QueryRpc | RpcV2Cbor] = [JsonRpc(), QueryRpc(), RpcV2Cbor()]
    return next(protocol for protocol in protocols if protocol.name == name)


def _head(headers: Mapping[str, str], method: str = "POST", target: str = "/") -> Head:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Head(method.encode(), target.encode(), pairs, keep_alive=True)


def _request(model: Any, protocol: str, operation: Any, value: Any) -> tuple[Head, bytes]:
    written = create_serializer(protocol, include_validation=False).serialize_to_request(
        value, operation
    )
    body = written["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    return _head(written["headers"], target=written["url_path"]), body


def _assert_request_is_read(data: st.DataObject, service: str, protocol_name: str) -> None:
    protocol = _protocol(protocol_name)
    theirs, ours = _botocore_model(service), load_service(service)
    name = data.draw(st.sampled_from(_operation_names(service)), label="operation")
    operation = theirs.operation_model(name)
    value = {}
    if operation.input_shape is not None:
        size_min = 1 if protocol_name == "query" else 0
        value = data.draw(_values(operation.input_shape, size_min=size_min, digits=6))
    head, body = _request(theirs, protocol_name, operation, value)

    assert protocol.operation_name(ours, head, body) == name
    parsed = protocol.parse(ours.operation(name), head, body)
    assert parsed == (
        _ours(operation.input_shape, value) if operation.input_shape is not None else {}
    )


def _assert_answer_is_read(data: st.DataObject, service: str, protocol_name: str) -> None:
    protocol = _protocol(protocol_name)
    theirs, ours = _botocore_model(service), load_service(service)
    name = data.draw(st.sampled_from(_operation_names(service)), label="operation")
    shape = theirs.operation_model(name).output_shape
    value = {}
    if shape is not None:
        value = data.draw(_values(shape, size_min=1 if protocol_name == "query" else 0, digits=3))
    output = _ours(shape, value) if shape is not None else {}
    answer = protocol.answer(ours.operation(name), output, "some-id")

    read = create_parser(protocol_name).parse(_as_response(answer), shape)
    if shape is None and protocol_name == "smithy-rpc-v2-cbor":
        # botocore does not look at an answer without members, not even for its id.
        assert read.keys() == {"ResponseMetadata"}
        return
    metadata = read.pop("ResponseMetadata")
    assert read == value
    assert metadata["RequestId"] == "some-id"


def _read_error(protocol_name: str, answer: Answer) -> Any:
    # botocore's stubs do not know that it passes None for errors without a shape.
    parser: Any = create_parser(protocol_name)
    return parser.parse(_as_response(answer), None)


def _as_response(answer: Answer) -> dict[str, Any]:
    headers = {name.decode().lower(): value.decode() for name, value in answer.headers}
    return {"status_code": answer.status, "headers": headers, "body": answer.body}


@_PROPERTY
@given(st.data(), st.sampled_from(["sagemaker", "cloudwatch"]))
def test_json_requests_are_read_as_botocore_meant_them(data: st.DataObject, service: str) -> None:
    """Whatever a boto3 user passes arrives in the rooms, over hundreds of operations' shapes."""
    _assert_request_is_read(data, service, "json")


@_PROPERTY
@given(st.data(), st.sampled_from(["sagemaker", "cloudwatch"]))
def test_json_answers_are_read_by_botocore_as_meant(data: st.DataObject, service: str) -> None:
    """Whatever a room answers arrives at a boto3 user."""
    _assert_answer_is_read(data, service, "json")


@_PROPERTY
@given(st.data(), st.sampled_from(["sts", "cloudwatch"]))
def test_forms_are_read_as_botocore_meant_them(data: st.DataObject, service: str) -> None:
    """STS, and CloudWatch's older clients, speak the query protocol."""
    _assert_request_is_read(data, service, "query")


@_PROPERTY
@given(st.data(), st.sampled_from(["sts", "cloudwatch"]))
def test_xml_answers_are_read_by_botocore_as_meant(data: st.DataObject, service: str) -> None:
    """Text with markup, control characters and line ends of any kind survives XML."""
    _assert_answer_is_read(data, service, "query")


@_PROPERTY
@given(st.data(), st.sampled_from(_CBOR_SERVICES))
def test_cbor_requests_are_read_as_botocore_meant_them(data: st.DataObject, service: str) -> None:
    """Newer clients speak it to CloudWatch; others that declare it work by the same code."""
    _assert_request_is_read(data, service, "smithy-rpc-v2-cbor")


@_PROPERTY
@given(st.data(), st.sampled_from(_CBOR_SERVICES))
def test_cbor_answers_are_read_by_botocore_as_meant(data: st.DataObject, service: str) -> None:
    """Numbers, moments and bytes arrive as they left."""
    _assert_answer_is_read(data, service, "smithy-rpc-v2-cbor")


@pytest.mark.parametrize(
    ("service", "protocol_name", "code"),
    [
        ("cloudwatch", "smithy-rpc-v2-cbor", "InvalidParameterValue"),
        ("sagemaker", "json", "ValidationException"),
        ("cloudwatch", "json", "InvalidParameterValue"),
        ("cloudwatch", "query", "InvalidParameterValue"),
        ("sts", "query", "ValidationError"),
    ],
)
def test_errors_are_read_by_botocore(service: str, protocol_name: str, code: str) -> None:
    """A script's `except ClientError` sees AWS's code, message and status."""
    protocol = _protocol(protocol_name)
    answer = protocol.error(load_service(service), Fault(code, 'not <"you">'), "some-id")
    read = _read_error(protocol_name, answer)

    assert read["Error"]["Code"] == code
    assert read["Error"]["Message"] == 'not <"you">'
    assert read["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert read["ResponseMetadata"]["RequestId"] == "some-id"


def test_cloudwatch_says_its_old_error_code_beside_the_new_name() -> None:
    """boto3 of any year finds its modelled exception for the same failure."""
    answer = JsonRpc().error(load_service("cloudwatch"), Fault("InvalidParameterValue", "x"), "id")
    read = _read_error("json", answer)

    assert read["Error"]["Code"] == "InvalidParameterValue"
    assert read["Error"]["QueryErrorCode"] == "InvalidParameterValueException"
    assert read["Error"]["Type"] == "Sender"


def test_an_error_in_cbor_names_its_shape_and_its_old_code() -> None:
    """Clients find the modelled exception by either."""
    model = load_service("cloudwatch")
    answer = RpcV2Cbor().error(model, Fault("MissingParameter", "no"), "id")
    headers = dict(answer.headers)

    assert cbor2.loads(answer.body) == {
        "__type": "MissingRequiredParameterException",
        "message": "no",
    }
    assert headers[b"smithy-protocol"] == b"rpc-v2-cbor"
    assert headers[b"x-amzn-query-error"] == b"MissingParameter;Sender"


def _read_cbor(body: bytes, operation: str = "PutMetricData") -> dict[str, Any]:
    model = load_service("cloudwatch").operation(operation)
    return RpcV2Cbor().parse(model, _head({}), body)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"\xf9\x3e\x00", 1.5),  # half
        (b"\xfa\x3f\xc0\x00\x00", 1.5),  # single
        (b"\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5),  # double
        (b"\x02", 2.0),
        (b"\xf9\x7c\x00", math.inf),
    ],
)
def test_floats_of_every_size_are_doubles(written: bytes, value: float) -> None:
    """Clients write the shortest form that keeps the value (RFC 8949, 4.2)."""
    body = b"\xa1\x6aMetricData\x81\xa1\x65Value" + written

    assert _read_cbor(body) == {"metric_data": [{"value": value}]}


def test_indefinite_lengths_and_nulls_are_read() -> None:
    """Clients that stream do not know lengths beforehand; null is the same as absent."""
    body = (
        b"\xbf\x69Namespace\x7f\x62Ow\x61n\xff\x6aMetricData\x9f\xbf\x6aMetricName\x61m"
        b"\x64Unit\xf6\x69Timestamp\xc1\xfb\x41\xd9\x54\xfc\x40\x20\x00\x00\xff\xff\xff"
    )

    assert _read_cbor(body) == {
        "namespace": "Own",
        "metric_data": [{"metric_name": "m", "timestamp": 1_700_000_000.5}],
    }


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"\xa1\x69Namespace",
        b"\x01",
        b"\x80",
        b"\xa1\x69Namespace\x01",
        b"\xa1\x6aMetricData\x81\xa1\x65Value\xc4\x82\x01\x02",
        b"\xa1\x69Namespace\xc2\x41\x01",
        b"\xa1\x69Namespace\xd8\x1c\x80",
        b"\xa1\x6aMetricData\xc1\x01",
        b"\xa1\x80\x01",
        b"\xa1\x69Namespace\xf7",
        b"\x81" * 100_000,
        b"\xc1" * 100_000,
    ],
    ids=lambda body: body[:12].hex(),
)
def test_what_is_no_cbor_of_the_shape_is_a_serialization_exception(body: bytes) -> None:
    """Half a message, another type, a thousand levels: AWS's error, never a stack trace."""
    with pytest.raises(FaultError) as caught:
        _read_cbor(body)
    assert caught.value.fault.code == "SerializationException"


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever somebody sends, the gateway has an answer."""
    with contextlib.suppress(FaultError):
        assert isinstance(_read_cbor(body), dict)


def test_a_model_error_carries_what_the_container_said() -> None:
    """Users debug their container from OriginalStatusCode and OriginalMessage."""
    members = {"OriginalStatusCode": 500, "OriginalMessage": "boom", "LogStreamArn": "arn:x"}
    fault = Fault("ModelError", "Received server error (500)", 424, members)
    answer = RestJson().error(load_service("sagemaker-runtime"), fault, "id")
    error = _read_error("rest-json", answer)
    shape = _botocore_model("sagemaker-runtime").shape_for("ModelError")
    modelled = create_parser("rest-json").parse(_as_response(answer), shape)

    assert error["Error"] == {"Code": "ModelError", "Message": "Received server error (500)"}
    assert modelled["OriginalStatusCode"] == 500
    assert modelled["OriginalMessage"] == "boom"
    assert modelled["LogStreamArn"] == "arn:x"


def test_a_refused_s3_request_is_told_in_s3s_own_form() -> None:
    """`aws s3` and boto3 read SignatureDoesNotMatch from XML of S3's kind."""
    answer = s3_error(Fault("SignatureDoesNotMatch", "no", 403), b"/bucket/<key>", "some-id")
    read = _read_error("rest-xml", answer)

    assert read["Error"]["Code"] == "SignatureDoesNotMatch"
    assert read["Error"]["Resource"] == "/bucket/<key>"
    assert read["ResponseMetadata"]["RequestId"] == "some-id"


def test_rest_operations_are_told_apart_by_method_and_path() -> None:
    """A refusal can name InvokeEndpointAsync instead of a path."""
    model = load_service("sagemaker-runtime")
    name = RestJson().operation_name(
        model, _head({}, target="/endpoints/my-endpoint/async-invocations?x=1"), b""
    )

    assert name == "InvokeEndpointAsync"
    with pytest.raises(FaultError, match="UnknownOperationException"):
        RestJson().operation_name(model, _head({}, target="/endpoints"), b"")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"MaxResults": "10"}',
        b'{"MaxResults": 1.5}',
        b'{"MaxResults": true}',
        b'{"MaxResults": 99999999999}',
        b'{"MaxResults": [1]}',
        b'{"MaxResults": {"a": 1}}',
        b'{"NameContains": 5}',
        b'{"CreationTimeAfter": "yesterday"}',
        b'{"CreationTimeAfter": 1e300}',
        b"[" * 100_000,
        b'{"MaxResults": NaN}',
    ],
)
def test_a_body_that_is_not_what_the_model_says_is_a_serialization_error(body: bytes) -> None:
    """A mistyped request is told so before anything is looked up or changed."""
    with pytest.raises(FaultError) as caught:
        JsonRpc().parse(load_service("sagemaker").operation("ListModels"), _head({}), body)

    assert caught.value.fault.code == "SerializationException"
    assert caught.value.fault.status == 400


def test_unknown_members_and_nulls_are_passed_over_as_aws_does() -> None:
    """A client newer than this cloud's botocore still works."""
    operation = load_service("sagemaker").operation("ListModels")
    body = b'{"MaxResults": 5.0, "NameContains": null, "FromTheFuture": {"a": [1]}}'

    assert JsonRpc().parse(operation, _head({}), body) == {"max_results": 5}


def test_numbers_that_json_cannot_hold_travel_as_words() -> None:
    """CloudWatch values may be infinite; AWS writes them as strings."""
    model = load_service("cloudwatch")
    output = {"datapoints": [{"sum": math.inf, "average": -math.inf, "minimum": math.nan}]}
    answer = JsonRpc().answer(model.operation("GetMetricStatistics"), output, "id")

    assert b'"Sum":"Infinity"' in answer.body
    assert b'"Average":"-Infinity"' in answer.body
    assert b'"Minimum":"NaN"' in answer.body


@pytest.mark.parametrize(
    "form",
    [
        b"Action=GetMetricStatistics&Period=soon",
        b"Action=GetMetricStatistics&Period=1e400",
        b"Action=GetMetricStatistics&Period=99999999999999999999999",
        b"Action=GetMetricStatistics&StartTime=yesterday",
        b"Action=GetMetricStatistics&StartTime=inf",
        b"Action=GetMetricStatistics&StartTime=nan",
        b"Action=GetMetricStatistics&StartTime=1e300",
        b"Action=GetMetricStatistics&Dimensions=x",
        b"Action=GetMetricStatistics&Dimensions.member.one.Name=x",
        b"Action=GetMetricStatistics&Dimensions.member.1.Name.deeper=x",
        b"Action=GetMetricStatistics&Dimensions.member.1=x&Dimensions.member.1.Name=x",
        b"Action=GetMetricStatistics&Dimensions.member.%s1.Name=x" % (b"1" * 5000),
        b"Action=GetMetricStatistics&" + b"a." * 2000 + b"b=1",
        b"Action=GetMetricStatistics&" + b"&".join(b"a%d=1" % i for i in range(20_000)),
        b"Action=GetMetricStatistics&Namespace=%ff%fe",
    ],
)
def test_a_form_that_cannot_be_read_is_refused_and_nothing_breaks(form: bytes) -> None:
    """Malformed input gets an answer, not a stack trace."""
    operation = load_service("cloudwatch").operation("GetMetricStatistics")
    head = _head({"content-type": "application/x-www-form-urlencoded"})

    with pytest.raises(FaultError) as caught:
        QueryRpc().parse(operation, head, form)
    assert caught.value.fault.code == "MalformedInput"


def test_a_get_with_its_parameters_in_the_query_is_the_same_as_a_form() -> None:
    """Old scripts ask STS with a bare GET."""
    head = _head({}, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15")

    assert QueryRpc().operation_name(load_service("sts"), head, b"") == "GetCallerIdentity"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (b"Action=Nonsense&Version=2011-06-15", "InvalidAction"),
        (b"Action=GetCallerIdentity&Version=1999-01-01", "InvalidAction"),
        (b"Version=2011-06-15", "MissingAction"),
    ],
)
def test_an_action_that_does_not_exist_is_told_so(form: bytes, code: str) -> None:
    """A mistyped action is told apart from a mistyped parameter."""
    head = _head({"content-type": "application/x-www-form-urlencoded; charset=utf-8"})
    with pytest.raises(FaultError) as caught:
        QueryRpc().operation_name(load_service("sts"), head, form)

    assert caught.value.fault.code == code


@pytest.mark.parametrize("target", ["Other.ListModels", "ListModels", "SageMaker.", ""])
def test_a_target_that_is_not_the_services_is_an_unknown_operation(target: str) -> None:
    """The prefix belongs to the operation: `Logs.ListModels` is nobody's."""
    with pytest.raises(FaultError, match="UnknownOperationException"):
        JsonRpc().operation_name(load_service("sagemaker"), _head({"x-amz-target": target}), b"")
