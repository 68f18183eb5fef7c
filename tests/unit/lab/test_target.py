"""Where calls go, whatever the surroundings say."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import Home
from windtunnel.lab.loopback import is_loopback
from windtunnel.lab.target import TargetOptions, open_target

if TYPE_CHECKING:
    from tests.unit.lab.conftest import FakeAws

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow

# Nothing listens on port 9 (discard); a call that is led there fails.
_NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Surround the process with everything that leads boto3 elsewhere."""
    config = tmp_path / "config"
    config.write_text(
        f"[default]\nregion = eu-west-1\nendpoint_url = {_NOWHERE}\n"
        "[profile away]\nregion = eu-west-1\n"
    )
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = x\n")
    for name, value in {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_PROFILE": "no-such-profile",
        "AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT",
        "AWS_SECRET_ACCESS_KEY": "environment",
        "AWS_SESSION_TOKEN": "a-real-token-that-must-not-leak",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": _NOWHERE,
        "AWS_ENDPOINT_URL_SAGEMAKER": _NOWHERE,
        "AWS_ENDPOINT_URL_S3": _NOWHERE,
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "not a number",
        "HTTP_PROXY": _NOWHERE,
        "http_proxy": _NOWHERE,
        "ALL_PROXY": _NOWHERE,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)


@pytest.mark.usefixtures("hostile")
def test_a_local_target_is_reached_whatever_aws_variables_are_around(
    aws: "FakeAws", home: Home
) -> None:
    """A shell set up for a real account must never send a local experiment there."""
    target = open_target(TargetOptions(home=home.path))
    target.sagemaker().list_models()
    target.s3().create_bucket(Bucket="bucket")
    target.runtime().invoke_endpoint(EndpointName="e", Body=b"x")

    key = home.credentials().access_key_id
    assert [asked.action for asked in aws.asked] == ["ListModels", "s3:PUT", "InvokeEndpoint"]
    for asked in aws.asked:
        assert f"Credential={key}/" in asked.headers["authorization"]
        assert "/us-east-1/" in asked.headers["authorization"]
        assert "x-amz-security-token" not in asked.headers


def test_a_local_cloud_of_another_region_is_signed_for_it(aws: "FakeAws", home: Home) -> None:
    """`up --region` exists; a signature for the wrong region is refused."""
    open_target(TargetOptions(home=home.path, region="eu-west-1")).sagemaker().list_models()

    assert "/eu-west-1/sagemaker/" in aws.asked[0].headers["authorization"]


def test_without_a_cloud_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    """The first thing a new user meets must tell the next step."""
    with pytest.raises(NotReadyError, match="windtunnel up"):
        open_target(TargetOptions(home=tmp_path / "empty"))


@pytest.mark.parametrize(
    "options",
    [TargetOptions(profile="x"), TargetOptions(endpoint_url="x")],
)
def test_words_for_aws_are_refused_for_the_local_cloud(options: TargetOptions) -> None:
    """A user who names a profile expects it to mean something."""
    with pytest.raises(UsageError, match="--cloud aws"):
        open_target(options)


def test_a_cloud_that_is_neither_is_refused() -> None:
    """A typo must not silently become one of the two."""
    with pytest.raises(UsageError, match="azure"):
        open_target(TargetOptions(cloud="azure"))


def _aws_environment(monkeypatch: pytest.MonkeyPatch, **extra: str) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT",
        "AWS_SECRET_ACCESS_KEY": "environment",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        **extra,
    }.items():
        monkeypatch.setenv(name, value)


def test_aws_takes_its_account_from_the_callers_own_credentials(
    aws: "FakeAws", monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed first is who is going to pay."""
    _aws_environment(monkeypatch)

    target = open_target(TargetOptions(cloud="aws", endpoint_url=aws.url))

    assert (target.kind, target.account, target.region) == ("aws", "000000000000", "eu-west-1")
    assert "Credential=AKIAENVIRONMENT/" in aws.asked[0].headers["authorization"]


def test_an_address_that_was_named_stands_for_every_service(
    aws: "FakeAws", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever names an address means all calls, also the one that gets a role's credentials."""
    config = tmp_path / "config"
    config.write_text(
        "[profile me]\naws_access_key_id = AKIAME\naws_secret_access_key = x\n"
        "[profile builder]\nrole_arn = arn:aws:iam::000000000000:role/Builder\n"
        f"source_profile = me\nendpoint_url = {_NOWHERE}\n"
    )
    _aws_environment(
        monkeypatch,
        AWS_CONFIG_FILE=str(config),
        AWS_ENDPOINT_URL=_NOWHERE,
        AWS_ENDPOINT_URL_STS=_NOWHERE,
        AWS_ENDPOINT_URL_SAGEMAKER=_NOWHERE,
        HTTP_PROXY=_NOWHERE,
    )

    options = TargetOptions(cloud="aws", profile="builder", endpoint_url=aws.url)
    target = open_target(options)
    target.sagemaker().list_models()
    target.iam().get_role(RoleName=aws.roles.setdefault("r", "arn:aws:iam::0:role/r")[-1])

    assert aws.actions() == ["AssumeRole", "GetCallerIdentity", "ListModels", "GetRole"]
    assert "Credential=AKIAME/" in aws.asked[0].headers["authorization"]
    for asked in aws.asked[1:]:
        assert asked.headers["x-amz-security-token"] == "token-of-a-role"
    assert target.renews_credentials
    assert target.words == (
        f" --cloud aws --profile builder --region eu-west-1 --endpoint-url {aws.url}"
    )


def test_control_calls_are_patient_and_an_invocation_is_made_once(
    aws: "FakeAws", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A throttled look must not end a deployment; a repeated inference would hide a failure."""
    _aws_environment(monkeypatch, AWS_MAX_ATTEMPTS="1", AWS_RETRY_MODE="legacy")

    target = open_target(TargetOptions(cloud="aws", endpoint_url=aws.url))

    configs: list[Any] = [target.sagemaker().meta.config, target.runtime().meta.config]
    retries = [config.retries for config in configs]
    assert [(each["mode"], each["total_max_attempts"]) for each in retries] == [
        ("adaptive", 10),
        ("standard", 1),
    ]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"])
def test_aws_refuses_a_loopback_address_that_nobody_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """After `windtunnel env`, `--cloud aws` would measure this laptop and call it AWS."""
    _aws_environment(monkeypatch, **{name: "http://localhost:4566"})

    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL"):
        open_target(TargetOptions(cloud="aws"))


def test_aws_without_a_region_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 itself fails much later, in words that name no option."""
    _aws_environment(monkeypatch)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION", raising=False)

    with pytest.raises(UsageError, match="--region"):
        open_target(TargetOptions(cloud="aws"))


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://127.1.2.3", True),
        ("http://localhost:1", True),
        ("http://s3.localhost.", True),
        ("http://[::1]:80", True),
        ("http://0.0.0.0:80", True),
        ("https://sagemaker.us-east-1.amazonaws.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_every_form_of_this_machines_own_address_is_known(url: str, *, loopback: bool) -> None:
    """One form missed is one way to take the local cloud for AWS."""
    assert is_loopback(url) is loopback
