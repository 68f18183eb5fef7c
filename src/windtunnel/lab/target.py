"""Where the lab's calls go: the local cloud of one home, or AWS.

A local target sees nothing of the world outside its home: no AWS_* variable, no proxy, no profile
or config file can lead a call elsewhere, and the home's own key pair signs it. An AWS target is
what boto3 makes of the same words, its credentials renewed by boto3 for as long as it can; an
address named with --endpoint-url stands for every service, those that hand out credentials
included. The one thing refused is a loopback address that nobody named on this command line, left
over from a shell that was once pointed at a local cloud.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ProfileNotFound

from windtunnel.aws import prices, sigv4
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import ACCOUNT_ID, Home
from windtunnel.lab.loopback import is_loopback
from windtunnel.lab.refusals import explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sts import STSClient

# What `up` is in unless it is told another.
LOCAL_REGION = "us-east-1"
# What may carry an address of its own from the environment or a config file.
_SERVICES = ("sagemaker", "sagemaker-runtime", "s3", "sts", "iam", "application-autoscaling")


@dataclass(frozen=True)
class TargetOptions:
    """The words of the command line that say where calls go."""

    cloud: str = "local"
    home: Path | None = None
    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None


@dataclass(frozen=True)
class Target:
    """One account in one region, and the clients that reach it."""

    kind: Literal["local", "aws"]
    account: str
    region: str
    # Stands for every service; None is AWS's own addresses.
    endpoint_url: str | None
    session: boto3.Session
    config: Config
    # Of a local cloud: where it keeps everything.
    home: Home | None = None
    # On AWS: who calls, as STS says it.
    caller_arn: str = ""
    # The options that lead another command to the same place, each after a space.
    words: str = ""

    @property
    def name(self) -> str:
        """How messages call it."""
        if self.kind == "local":
            return f"the local cloud at {self.endpoint_url}"
        return f"AWS account {self.account} in {self.region}"

    def sagemaker(self) -> "SageMakerClient":
        """Return a client of the control plane."""
        return self.session.client("sagemaker", endpoint_url=self.endpoint_url, config=self.config)

    def runtime(self) -> "SageMakerRuntimeClient":
        """Return a client that invokes once: no retry, and as patient as a model may be slow."""
        config = self.config.merge(
            Config(
                retries={"total_max_attempts": 1, "mode": "standard"},
                read_timeout=limits.INVOKE_CLIENT_TIMEOUT_S,
            )
        )
        return self.session.client(
            "sagemaker-runtime", endpoint_url=self.endpoint_url, config=config
        )

    def s3(self) -> "S3Client":
        """Return a client of the object store."""
        return self.session.client("s3", endpoint_url=self.endpoint_url, config=self.config)

    def sts(self) -> "STSClient":
        """Return a client that says who is calling."""
        return self.session.client("sts", endpoint_url=self.endpoint_url, config=self.config)

    def iam(self) -> Any:  # noqa: ANN401 - boto3's own types for IAM are no dependency of ours
        """Return a client that looks up roles."""
        return self.session.client("iam", endpoint_url=self.endpoint_url, config=self.config)

    def price_list(self) -> Any:  # noqa: ANN401 - likewise
        """Return a client of AWS's price list, which can be done without and so is not patient."""
        return self.session.client(
            "pricing",
            region_name=prices.API_REGION,
            endpoint_url=self.endpoint_url,
            config=self._brief_config(),
        )

    def application_autoscaling(self, *, is_brief: bool = True) -> Any:  # noqa: ANN401 - likewise
        """Return a client of Application Auto Scaling; where it can be done without, brief."""
        config = self._brief_config() if is_brief else self.config
        return self.session.client(
            "application-autoscaling", endpoint_url=self.endpoint_url, config=config
        )

    def cloudwatch(self) -> Any:  # noqa: ANN401 - likewise
        """Return a client that reads metrics and alarms."""
        return self.session.client("cloudwatch", endpoint_url=self.endpoint_url, config=self.config)

    def sagemaker_briefly(self) -> "SageMakerClient":
        """Return a client of the control plane for what can be done without."""
        return self.session.client(
            "sagemaker", endpoint_url=self.endpoint_url, config=self._brief_config()
        )

    def _brief_config(self) -> Config:
        return self.config.merge(
            Config(
                retries={"total_max_attempts": 2, "mode": "standard"},
                connect_timeout=limits.BRIEF_TIMEOUT_S,
                read_timeout=limits.BRIEF_TIMEOUT_S,
            )
        )

    @property
    def warp(self) -> float:
        """How many times as fast as AWS's the clock of scaling is there (`up --warp`)."""
        record = None if self.home is None else self.home.record()
        return 1.0 if record is None else record.warp

    @property
    def is_instant(self) -> bool:
        """Whether instances start and metrics show at once there, as in a local cloud."""
        record = None if self.home is None else self.home.record()
        return record is not None and record.is_instant

    @property
    def renews_credentials(self) -> bool:
        """Whether boto3 gets new credentials by itself before these expire."""
        return isinstance(self.session.get_credentials(), RefreshableCredentials)

    def credentials_expire_within(self, span_s: float) -> bool:
        """Say whether credentials that can be renewed should be."""
        found: Any = self.session.get_credentials()
        return self.renews_credentials and bool(found.refresh_needed(refresh_in=span_s))

    def signing_credentials(self) -> sigv4.Credentials:
        """Return the credentials as they are now, renewed where they can be and must be."""
        found = self.session.get_credentials()
        if found is None:
            raise NotReadyError("No AWS credentials were found: configure some, or use --profile.")
        with explained("new credentials"):
            frozen = found.get_frozen_credentials()
        assert frozen.access_key is not None, "a chain that finds credentials finds a key"
        assert frozen.secret_key is not None
        return sigv4.Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def open_target(options: TargetOptions) -> Target:
    """Return the target that the options name, or say what is missing."""
    if options.cloud == "local":
        return _open_local(options)
    if options.cloud == "aws":
        return _open_aws(options)
    raise UsageError(f"--cloud is `local` or `aws`, not {options.cloud!r}.")


def _open_local(options: TargetOptions) -> Target:
    for option, value in (
        ("--profile", options.profile),
        ("--endpoint-url", options.endpoint_url),
    ):
        if value is not None:
            raise UsageError(f"{option} is for --cloud aws: the local cloud is found by --home.")
    region = options.region or LOCAL_REGION
    home = Home.resolve(options.home)
    record = home.running()
    keys = home.credentials()
    session = _session_without_surroundings()
    session.set_credentials(keys.access_key_id, keys.secret_access_key)
    return Target(
        kind="local",
        account=ACCOUNT_ID,
        region=region,
        endpoint_url=record.url,
        session=boto3.Session(botocore_session=session, region_name=region),
        # An empty mapping, not None: None has botocore look for proxies in the environment.
        # Buckets are named in the path: names below `127.0.0.1` resolve nowhere.
        config=Config(proxies={}, s3={"addressing_style": "path"}),
        home=home,
    )


def _session_without_surroundings() -> botocore.session.Session:
    """Return a session that reads no environment variable and no file."""
    session = botocore.session.Session()
    for name, (_, _, default, convert) in dict(session.session_var_map).items():
        session.session_var_map[name] = (None, None, default, convert)
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    return session


class _SessionOfOneAddress(botocore.session.Session):
    """A session whose every client goes to one address, those of credential providers included."""

    endpoint_url: str | None = None

    def create_client(self, *words: Any, **options: Any) -> Any:  # noqa: ANN401 - botocore's own
        if options.get("endpoint_url") is None:
            options["endpoint_url"] = self.endpoint_url
        return super().create_client(*words, **options)


def _open_aws(options: TargetOptions) -> Target:
    if options.home is not None:
        raise UsageError("--home is for --cloud local.")
    # Control calls are patient with throttling: botocore's standard mode, which besides learns how
    # often it may call.
    config = Config(retries={"total_max_attempts": limits.CONTROL_ATTEMPTS_MAX, "mode": "adaptive"})
    if options.endpoint_url is not None and _check_url(options.endpoint_url):
        config = config.merge(Config(proxies={}, s3={"addressing_style": "path"}))
    inner = _SessionOfOneAddress()
    inner.endpoint_url = options.endpoint_url
    inner.set_default_client_config(config)
    try:
        session = boto3.Session(
            botocore_session=inner, profile_name=options.profile, region_name=options.region
        )
    except ProfileNotFound as error:
        raise UsageError(f"There is no AWS profile {options.profile!r} here.") from error
    region = session.region_name
    if region is None:
        raise UsageError("No AWS region is configured: name one with --region.")
    if options.endpoint_url is None:
        _refuse_stray_loopback(session)
    # The first call: a wrong address should not take a minute to be found wrong.
    brief = config.merge(
        Config(retries={"total_max_attempts": limits.FIRST_ATTEMPTS_MAX, "mode": "standard"})
    )
    with explained("the caller's identity"):
        sts = session.client("sts", endpoint_url=options.endpoint_url, config=brief)
        identity = sts.get_caller_identity()
    return Target(
        kind="aws",
        account=identity["Account"],
        region=region,
        endpoint_url=options.endpoint_url,
        session=session,
        config=config,
        caller_arn=identity["Arn"],
        words=_words(options, region),
    )


def _check_url(url: str) -> bool:
    """Refuse what is no address; say whether it is one of this machine."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise UsageError(f"--endpoint-url {url!r} is not an http(s) URL.")
    return is_loopback(url)


def _words(options: TargetOptions, region: str) -> str:
    pairs = {
        "--cloud": "aws",
        "--profile": options.profile,
        "--region": region,
        "--endpoint-url": options.endpoint_url,
    }
    return "".join(f" {name} {shlex.quote(value)}" for name, value in pairs.items() if value)


def _refuse_stray_loopback(session: boto3.Session) -> None:
    for service in _SERVICES:
        client: Any = session.client(service)  # type: ignore[call-overload]
        url = client.meta.endpoint_url
        if is_loopback(url):
            raise UsageError(
                f"--cloud aws would send {service} calls to {url}, an address of this machine "
                "that comes from the environment or a config file: unset AWS_ENDPOINT_URL and "
                "its like, or name an address with --endpoint-url."
            )
