"""Deploying where it costs money: said first, asked for, and taken back when it fails."""

import io
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windtunnel.lab.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow

_BUCKET = "sagemaker-us-east-1-000000000000"
_MAKING = {"CreateModel", "CreateEndpointConfig", "CreateEndpoint", "s3:PUT"}


def _refusal(message: str, code: str) -> Exception:
    from tests.unit.lab.conftest import Refusal

    return Refusal(message, code)


def _product(instance_type: str, usd: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": usd}}
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": f"USE1-Host:{instance_type}"}},
            "terms": {"OnDemand": {"A": {"priceDimensions": {"B": dimension}}}},
        }
    )


def _is_clean(aws: "FakeAws") -> bool:
    objects = [key for bucket in aws.buckets.values() for key in bucket]
    return not (aws.models or aws.configs or aws.endpoints or objects)


def _words(archive: Path, to_aws: list[str], *more: object) -> list[object]:
    return ["deploy", archive, "--endpoint-name", "unet", *to_aws, *more]


class _Terminal(io.StringIO):
    """Somebody at a keyboard."""

    def isatty(self) -> bool:
        return True


def test_a_yes_to_the_price_makes_the_endpoint(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Account, region and price come first, then the question, then what costs."""
    aws.products = [_product("ml.c5.large", "0.1020000000")]
    monkeypatch.setattr("sys.stdin", _Terminal("y\n"))

    ran = windtunnel(*_words(archive, to_aws, "--instance-count", 2))

    assert ran.code == 0, ran.err
    told = [ran.err.index(text) for text in ("account 000000000000", "$0.204 an hour", "Uploading")]
    assert told == sorted(told)
    (model,) = aws.models.values()
    assert model["ExecutionRoleArn"] == "arn:aws:iam::000000000000:role/service-role/Builder"
    assert list(aws.endpoints) == ["unet"]


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_made(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    """Somebody who only wanted to see the price must not pay it."""
    monkeypatch.setattr("sys.stdin", _Terminal(answer))

    ran = windtunnel(*_words(archive, to_aws))

    assert ran.code == 1
    assert not _MAKING & set(aws.actions())


def test_where_nobody_can_answer_yes_must_have_been_said(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """A job that runs unattended must not start to cost money by default."""
    ran = windtunnel(*_words(archive, to_aws))

    assert ran.code == 2
    assert "--yes" in ran.err
    assert not _MAKING & set(aws.actions())


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [
        ("ml.m5.xlarge", "1 x ml.m5.xlarge cost $0.23 an hour (AWS's price list of 2026-09-28;"),
        ("ml.c6i.large", "What 1 x ml.c6i.large cost an hour is not known here"),
    ],
)
def test_a_price_list_that_cannot_be_asked_does_not_stop_a_deployment(
    windtunnel: "Command",
    archive: Path,
    to_aws: list[str],
    instance_type: str,
    expected: str,
) -> None:
    """Few roles may ask for prices; what is known then is dated, what is not is called unknown."""
    ran = windtunnel(*_words(archive, to_aws, "--yes", "--instance-type", instance_type))

    assert ran.code == 0, ran.err
    assert expected in ran.err
    assert "You may not ask for prices" in ran.err


@pytest.mark.parametrize(
    ("caller", "words", "expected"),
    [
        ("arn:aws:iam::000000000000:user/ann", [], "user/ann, which is no role"),
        (
            "arn:aws:sts::000000000000:assumed-role/AWSReservedSSO_Admin_0123/ann",
            [],
            "is no role that a model could run as",
        ),
        ("arn:aws:iam::000000000000:user/ann", ["--role", "nobody"], "There is no role nobody"),
    ],
)
def test_a_model_without_a_role_is_refused_before_anything_is_made(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    caller: str,
    words: list[str],
    expected: str,
) -> None:
    """CreateModel would refuse it after the upload, in words about trust policies."""
    aws.caller = caller

    ran = windtunnel(*_words(archive, to_aws, "--yes", *words))

    assert ran.code == 2
    assert expected in ran.err
    assert "--role" in ran.err
    assert not _MAKING & set(aws.actions())


@pytest.mark.parametrize(
    ("role", "arn"),
    [
        ("Builder", "arn:aws:iam::000000000000:role/service-role/Builder"),
        (
            "arn:aws:iam::000000000000:role/team/serving",
            "arn:aws:iam::000000000000:role/team/serving",
        ),
    ],
)
def test_a_role_is_found_by_its_name_or_taken_by_its_arn(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    role: str,
    arn: str,
) -> None:
    """A role's path is in its ARN and not in its name; guessing it makes a role that is none."""
    windtunnel(*_words(archive, to_aws, "--yes", "--role", role))

    (model,) = aws.models.values()
    assert model["ExecutionRoleArn"] == arn


@pytest.mark.parametrize("refused", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_whatever_is_refused_nothing_of_it_is_left(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str], refused: str
) -> None:
    """A half-made deployment on AWS is litter at best and a bill at worst."""

    def gate(asked: "Asked") -> None:
        if asked.action == refused:
            raise _refusal("The account-level service limit is 0 Instances.", "ResourceLimit")

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes", "--json"))

    assert ran.code == 1
    assert "service limit is 0" in ran.err
    assert "Nothing of it is left" in ran.err
    assert ran.out == b""
    assert _is_clean(aws)


def test_an_endpoint_that_fails_is_removed_with_all_that_it_used(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """A failed endpoint's reason is told; keeping it around answers nothing more."""
    aws.statuses = ["Creating", "Failed"]
    aws.failure_reason = "The primary container did not pass the ping health check."

    ran = windtunnel(*_words(archive, to_aws, "--yes"))

    assert ran.code == 4
    assert "ping health check" in ran.err
    assert "/aws/sagemaker/Endpoints/unet" in ran.err
    assert _is_clean(aws)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_deployment_that_is_told_to_end_cleans_up_first(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    number: signal.Signals,
    code: int,
) -> None:
    """Ctrl-C means that the endpoint is not wanted; by the hour it costs all the same."""
    aws.statuses = ["Creating", "Creating", "InService"]

    def gate(asked: "Asked") -> None:
        if asked.action == "DescribeEndpoint" and aws.endpoints:
            aws.gate = lambda _asked: None
            signal.raise_signal(number)

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes"))

    assert ran.code == code
    assert "Removing what was made" in ran.err
    assert _is_clean(aws)


def test_whoever_will_not_wait_for_the_removal_is_told_what_is_left(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """On AWS an endpoint that is being created can only be deleted minutes later."""
    aws.statuses = ["Creating"]

    def gate(asked: "Asked") -> None:
        if asked.action == "DescribeEndpoint" and aws.endpoints:
            signal.raise_signal(signal.SIGINT)

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes"))

    assert ran.code == 130
    (config,) = aws.configs
    told = ran.err.partition("Interrupted again.")[2]
    assert f"endpoint unet, endpoint configuration {config}, model " in told
    assert "--endpoint-name unet`" in told


def test_a_fault_of_our_own_leaves_nothing_either(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug must not cost its finder money."""

    def stumble(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Deployment, "_wait_in_service", stumble)
    with pytest.raises(ZeroDivisionError):
        windtunnel(*_words(archive, to_aws, "--yes"))

    assert _is_clean(aws)


def test_credentials_that_expire_on_the_way_leave_a_list_and_a_command(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """Who may no longer delete must know exactly what goes on costing, and what removes it."""

    def gate(asked: "Asked") -> None:
        if aws.endpoints and asked.headers.get("x-amz-target", "").startswith("SageMaker"):
            raise _refusal("The security token included in the request is expired", "ExpiredToken")

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes", "--json"))

    assert ran.code == 4
    (model,), (config,) = aws.models, aws.configs
    left = json.loads(ran.out)["made"]
    assert left[:3] == ["endpoint unet", f"endpoint configuration {config}", f"model {model}"]
    assert left[3].startswith(f"s3://{_BUCKET}/windtunnel/unet/")
    assert "is expired" in ran.err
    command = "windtunnel clean --cloud aws --region us-east-1 --endpoint-url "
    assert f"`{command}{aws.url} --endpoint-name unet`" in ran.err

    # With credentials that are good again, that very command removes it.
    aws.gate = lambda _asked: None
    cleaned = windtunnel("clean", *to_aws, "--endpoint-name", "unet", "--yes")
    assert cleaned.code == 0, cleaned.err
    assert _is_clean(aws)


def test_throttled_calls_are_tried_again(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """AWS throttles the control plane of an account that does anything else at the same time."""
    throttled: set[str] = set()

    def gate(asked: "Asked") -> None:
        if asked.action.startswith("Create") and asked.action not in throttled:
            throttled.add(asked.action)
            raise _refusal("Rate exceeded", "ThrottlingException")

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes"))

    assert ran.code == 0, ran.err
    assert throttled == {"CreateModel", "CreateEndpointConfig", "CreateEndpoint"}


def test_somebody_elses_endpoint_of_the_same_name_survives_our_failure(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """Between our look and our call a colleague took the name; cleaning up must not hit them."""

    def gate(asked: "Asked") -> None:
        if asked.action == "CreateEndpoint":
            (config,) = aws.configs.values()
            aws.configs["theirs"] = {**config, "EndpointConfigName": "theirs"}
            theirs = {"EndpointName": "unet", "EndpointConfigName": "theirs", "described": 0}
            aws.endpoints["unet"] = theirs

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes"))

    assert ran.code == 1
    assert list(aws.endpoints) == ["unet"]
    assert list(aws.configs) == ["theirs"]
    assert not aws.models


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--image", "local/command"], "names no registry"),
        (["--image", "two words"], "no image"),
        (["--endpoint-url", "https://"], "not an http(s) URL"),
        (["--endpoint-url", "http://host:port"], "not an http(s) URL"),
    ],
)
def test_wrong_words_are_refused_before_any_call(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    to_aws: list[str],
    words: list[str],
    expected: str,
) -> None:
    """A mistake that is only seen after an upload costs the upload's time."""
    ran = windtunnel(*_words(archive, to_aws, "--yes", *words))

    assert ran.code == 2
    assert expected in ran.err
    assert aws.asked == []


@pytest.mark.parametrize("named", [[], ["--bucket", "ours"]])
def test_a_bucket_of_somebody_elses_is_not_uploaded_to(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str], named: list[str]
) -> None:
    """The default bucket's name can be guessed; whoever holds it would read every model."""
    from tests.unit.lab.conftest import Refusal

    def gate(asked: "Asked") -> None:
        if asked.action == "s3:HEAD":
            owner = asked.headers.get("x-amz-expected-bucket-owner")
            assert owner == (None if named else "000000000000")
            raise Refusal("", "Forbidden", 403)

    aws.gate = gate
    ran = windtunnel(*_words(archive, to_aws, "--yes", *named))

    assert ran.code == 2
    assert "belongs to somebody else" in ran.err
    assert not _MAKING & set(aws.actions())


def test_a_region_without_an_image_of_aws_needs_one_named(
    windtunnel: "Command", aws: "FakeAws", archive: Path, to_aws: list[str]
) -> None:
    """An image URI that was made up fails minutes later, when the endpoint starts."""
    ran = windtunnel(*_words(archive, to_aws, "--yes", "--region", "xx-moon-1"))

    assert ran.code == 2
    assert "name one with --image" in ran.err
    assert not _MAKING & set(aws.actions())
