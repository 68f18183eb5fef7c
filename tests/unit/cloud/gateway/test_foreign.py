"""A service that this cloud does not have is refused so that its own client understands it."""

import io
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from windtunnel.cloud.gateway.answers import unsupported_service
from windtunnel.cloud.gateway.identify import identify
from windtunnel.cloud.gateway.protocols.foreign import foreign_error
from windtunnel.cloud.gateway.signature import read_claim
from windtunnel.http.message import Head


class _Body(io.BytesIO):
    """What botocore reads an answer's body from."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class _Refusing:
    """Answers a client's request as the gateway would, in the place of botocore's network."""

    def __init__(self) -> None:
        self.service = ""

    def __call__(self, request: AWSRequest, **_: Any) -> AWSResponse:
        sent: Any = request
        headers = [
            (name.lower().encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in sent.headers.items()
        ]
        host, _slash, target = sent.url.removeprefix("https://").partition("/")
        headers.append((b"host", host.encode()))
        head = Head(sent.method.encode(), b"/" + target.encode(), headers, keep_alive=True)
        claim = read_claim(head)
        self.service = identify(head, None if claim is None else claim.signing_name)
        fault = unsupported_service(self.service).fault
        answer = foreign_error(self.service, fault, head, "id")
        said: Any = {name.decode(): value.decode() for name, value in answer.headers}
        return AWSResponse(sent.url, answer.status, said, _Body(answer.body))


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        # json; smithy-rpc-v2-cbor; query; ec2; rest-json; rest-xml.
        ("dynamodb", "list_tables", {}),
        ("sqs", "list_queues", {}),
        ("transcribe", "list_transcription_jobs", {}),
        ("sns", "list_topics", {}),
        ("ec2", "describe_instances", {}),
        ("lambda", "list_functions", {}),
        ("bedrock-runtime", "invoke_model", {"modelId": "m", "body": b"{}"}),
        ("route53", "list_hosted_zones", {}),
        ("cloudfront", "list_distributions", {}),
        ("s3control", "list_jobs", {"AccountId": "000000000000"}),
        (
            "sagemaker-metrics",
            "batch_put_metrics",
            {
                "TrialComponentName": "t",
                "MetricData": [{"MetricName": "m", "Timestamp": 1, "Value": 1.0}],
            },
        ),
    ],
)
def test_its_own_client_reads_the_refusal(
    service: str, operation: str, arguments: dict[str, Any]
) -> None:
    """Each of AWS's protocols has errors of its own; a foreign one is `Unknown` to a client."""
    client = boto3.Session(
        aws_access_key_id="AKIA", aws_secret_access_key="x", region_name="us-east-1"
    ).client(
        service,  # type: ignore[call-overload]
        config=Config(retries={"total_max_attempts": 1}),
    )
    refusing = _Refusing()
    client.meta.events.register("before-send", refusing)

    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)

    said = caught.value.response["Error"]
    assert said["Code"] == "UnsupportedOperationException"
    assert "does not offer the service" in said["Message"]
    assert refusing.service in said["Message"]
    assert refusing.service not in ("s3", "sagemaker")
