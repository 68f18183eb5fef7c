"""From an archive to an endpoint, and every way it can end."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab import names
from windtunnel.lab.order import Order, check_order, parse_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.lab.conftest import FakeAws, Ran

    Command = Callable[..., Ran]

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow


def test_a_deployment_makes_an_endpoint_and_waits_for_it(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """One command stands for upload, three creations and the waiting."""
    aws.statuses = ["Creating", "Creating", "InService"]

    ran = windtunnel(
        "deploy", archive, "--endpoint-name", "unet", "--env", "A=1", "--env", "B=x=y", "--json"
    )

    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    model = aws.models[made["model_name"]]
    assert model["PrimaryContainer"]["Environment"] == {"A": "1", "B": "x=y"}
    assert "tensorflow-inference" in model["PrimaryContainer"]["Image"]
    variant = aws.configs[made["endpoint_config_name"]]["ProductionVariants"][0]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c5.large", 1)
    bucket, _, key = made["model_data_url"].removeprefix("s3://").partition("/")
    assert bucket == "sagemaker-us-east-1-000000000000"
    assert aws.buckets[bucket][key][0] == archive.read_bytes()
    assert aws.endpoints["unet"]["described"] == 3


def test_everything_made_carries_windtunnels_tag(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """What is not marked can never be cleaned up safely."""
    windtunnel("deploy", archive, "--endpoint-name", "unet")

    assert len(aws.tags) == 3
    for tags in aws.tags.values():
        assert {"Key": "windtunnel:created-by", "Value": "windtunnel"} in tags
        assert {"Key": "windtunnel:endpoint", "Value": "unet"} in tags
    (objects,) = aws.buckets.values()
    assert [metadata for _, metadata in objects.values()] == [
        {"windtunnel-created-by": "windtunnel"}
    ]


def test_two_deployments_of_one_archive_share_no_names(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """Cleaning up one endpoint must not take the model of another with it."""
    windtunnel("deploy", archive, "--endpoint-name", "first")
    windtunnel("deploy", archive, "--endpoint-name", "second")

    assert len(aws.models) == len(aws.configs) == len(aws.endpoints) == 2
    (objects,) = aws.buckets.values()
    assert len(objects) == 2


def test_an_endpoint_that_fails_ends_with_its_reason_and_status_4(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """The reason is the only clue, and it hides in a field nobody prints."""
    aws.statuses = ["Creating", "Failed"]
    aws.failure_reason = "The primary container did not pass the ping health check."

    ran = windtunnel("deploy", archive, "--endpoint-name", "unet")

    assert ran.code == 4
    assert "ping health check" in ran.err
    assert "windtunnel clean --endpoint-name unet" in ran.err
    assert ran.out == b""


def test_an_endpoint_that_exists_is_left_alone(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """Somebody may be using it."""
    windtunnel("deploy", archive, "--endpoint-name", "unet")
    before = dict(aws.endpoints), dict(aws.buckets)

    ran = windtunnel("deploy", archive, "--endpoint-name", "unet")

    assert ran.code == 2
    assert "already" in ran.err
    assert (dict(aws.endpoints), dict(aws.buckets)) == before


def test_an_interrupted_deployment_says_what_it_left(
    windtunnel: "Command", aws: "FakeAws", archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS, what is left behind costs money by the hour."""
    aws.statuses = ["Creating"]

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("windtunnel.lab.deployment.time.sleep", interrupt)
    ran = windtunnel("deploy", archive, "--endpoint-name", "unet")

    assert ran.code == 130
    assert "endpoint unet" in ran.err
    assert "windtunnel clean --endpoint-name unet" in ran.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["missing.tar.gz", "--endpoint-name", "e"], "cannot be read"),
        (["{plain}", "--endpoint-name", "e"], "not a gzip-compressed tar"),
        (["{archive}", "--endpoint-name", "-no"], "no endpoint name"),
        (["{archive}", "--endpoint-name", "a" * 64], "no endpoint name"),
        (["{archive}", "--endpoint-name", "e", "--env", "NOVALUE"], "KEY=VALUE"),
        (["{archive}", "--endpoint-name", "e", "--env", "1A=b"], "KEY=VALUE"),
        (["{archive}", "--endpoint-name", "e", "--env", "A=1", "--env", "A=2"], "twice"),
        (["{archive}", "--endpoint-name", "e", "--instance-type", "c5.large"], "ml."),
        (["{archive}", "--endpoint-name", "e", "--instance-count", "0"], "at least 1"),
        (["{archive}", "--endpoint-name", "e", "--role", "two words"], "role"),
        (["{archive}", "--endpoint-name", "e", "--bucket", ""], "no bucket name"),
        (["{archive}", "--endpoint-name", "e", "--bucket", "ab"], "no bucket name"),
        (["{archive}", "--endpoint-name", "e", "--bucket", "a" * 64], "no bucket name"),
        (["{archive}", "--endpoint-name", "e", "--bucket", "My_Bucket"], "no bucket name"),
        (["{archive}", "--endpoint-name", "e", "--bucket", "ends-badly-"], "no bucket name"),
        (["{archive}", "--endpoint-name", "e", "--bucket", "two..dots"], "no bucket name"),
        (["{archive}", "--endpoint-name", "e", "--bucket", "192.168.5.4"], "no bucket name"),
    ],
)
def test_what_cannot_be_right_is_refused_before_any_call(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    payload_file: Path,
    *,
    words: list[str],
    expected: str,
) -> None:
    """A mistake that surfaces after an upload and five minutes of waiting is a bad joke."""
    ran = windtunnel(
        "deploy", *(word.format(archive=archive, plain=payload_file) for word in words)
    )

    assert ran.code == 2
    assert expected in ran.err
    assert aws.asked == []


def test_a_model_that_sagemaker_refuses_is_explained_in_its_own_words(
    windtunnel: "Command", aws: "FakeAws", archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's message names the limit or the image; ours could only guess."""
    original = aws.sagemaker

    def refuse(action: str, words: dict[str, object]) -> dict[str, object]:
        if action == "CreateModel":
            raise _refusal("Requested image not found.")
        return original(action, words)

    monkeypatch.setattr(aws, "sagemaker", refuse)
    ran = windtunnel("deploy", archive, "--endpoint-name", "unet")

    assert ran.code == 1
    assert "Requested image not found." in ran.err
    assert "s3://" in ran.err


def test_a_failed_deployment_tells_a_script_what_it_left(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """A script that asked for JSON must not parse a sentence to find what to remove."""
    aws.statuses = ["Failed"]
    aws.failure_reason = "The primary container did not pass the ping health check."

    ran = windtunnel("deploy", archive, "--endpoint-name", "unet", "--json")

    assert ran.code == 4
    told = json.loads(ran.out)
    assert "ping health check" in told["error"]
    assert told["error"] in ran.err
    (model,), (config,) = aws.models, aws.configs
    assert told["made"][0].startswith("s3://")
    assert told["made"][1:] == [
        f"model {model}",
        f"endpoint configuration {config}",
        "endpoint unet",
    ]


@pytest.mark.parametrize("bucket", ["abc", "a" * 63, "my.bucket-1", "1.2.3.4.5"])
def test_a_bucket_that_s3_takes_is_taken(archive: Path, bucket: str) -> None:
    """A rule that is stricter than S3's locks people out of their own buckets."""
    check_order(Order(archive, "unet", bucket=bucket))


def _refusal(message: str) -> Exception:
    from tests.unit.lab.conftest import Refusal

    return Refusal(message)


def test_names_stay_within_sagemakers_limit() -> None:
    """A long endpoint name must not make the model's name too long."""
    name = names.unique("e" * 63)

    assert len(name) <= 63
    assert name != names.unique("e" * 63)


def test_an_environment_of_too_many_variables_is_refused() -> None:
    """CreateModel would refuse it after the upload."""
    with pytest.raises(UsageError, match="at most 100"):
        parse_environment([f"K{number}=1" for number in range(101)])
