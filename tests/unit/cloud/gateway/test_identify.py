"""Which service a request is for."""

import pytest

from windtunnel.cloud.gateway.identify import identify
from windtunnel.http.message import Head


def _head(method: str = "GET", target: str = "/", **headers: str) -> Head:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Head(method.encode(), target.encode(), pairs, keep_alive=True)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("sm-pysdk-t-us-east-1.s3.us-east-1.amazonaws.com", "s3"),
        ("api.sagemaker.us-west-2.amazonaws.com", "sagemaker"),
        ("runtime.sagemaker.us-west-2.amazonaws.com", "sagemaker-runtime"),
        ("metrics.sagemaker.us-west-2.amazonaws.com", "metrics.sagemaker"),
        ("sts.amazonaws.com", "sts"),
        ("monitoring.us-east-1.amazonaws.com", "cloudwatch"),
        ("logs.us-east-1.amazonaws.com", "logs"),
        ("dynamodb.us-east-1.amazonaws.com", "dynamodb"),
        ("abc.execute-api.us-east-1.amazonaws.com", "execute-api"),
    ],
)
def test_an_unsigned_request_is_for_the_service_of_awss_host(host: str, service: str) -> None:
    """The SDK's telemetry and anonymous downloads say it in no other way."""
    assert identify(_head(host=host), None) == service


def test_what_was_signed_for_counts_more_than_the_host() -> None:
    """Older SDKs reach one service at another's host."""
    head = _head("POST", host="autoscaling.us-east-1.amazonaws.com")

    assert identify(head, "application-autoscaling") == "application-autoscaling"


def test_a_signing_name_that_services_share_is_told_apart_by_host() -> None:
    """S3's control API must not be taken for a bucket of that name."""
    head = _head(target="/v20180820/jobs", host="1.s3-control.us-east-1.amazonaws.com")

    assert identify(head, "s3") == "s3-control"
    assert identify(_head(host="127.0.0.1:8080"), "s3") == "s3"
    assert identify(_head(host="127.0.0.1:8080"), "sagemaker") == "sagemaker"


def test_a_public_object_below_endpoints_is_s3s() -> None:
    """Its key is nobody's business but S3's."""
    head = _head(target="/endpoints/x/invocations", host="bkt.s3.amazonaws.com")

    assert identify(head, None) == "s3"


def test_without_a_host_of_awss_what_was_sent_tells() -> None:
    """Clients with an endpoint URL send the cloud's own host."""
    host = "127.0.0.1:8080"
    form = "application/x-www-form-urlencoded"

    assert identify(_head("POST", host=host, x_amz_target="SageMaker.ListModels"), None) == (
        "sagemaker"
    )
    assert identify(_head("POST", host=host, content_type=form), None) == "sts"
    assert identify(_head("POST", "/endpoints/e/invocations", host=host), None) == (
        "sagemaker-runtime"
    )
    assert identify(_head(host=host), None) == "s3"
