"""Where the lab's calls go: the local cloud of one home, or AWS.

A local target sees nothing of the world outside its home: no AWS_* variable, no proxy, no profile
or config file can lead a call elsewhere, and the home's own key pair signs it. An AWS target is
what boto3 makes of the same words; the one thing refused is a loopback address that nobody named
on this command line, left over from a shell that was once pointed at a local cloud.
"""

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ProfileNotFound

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import ACCOUNT_ID, Home
from windtunnel.lab.refusals import explained

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sts import STSClient

# What `up` is in unless it is told another.
LOCAL_REGION = "us-east-1"
# What may carry an address of its own from the environment or a config file.
_SERVICES: tuple[Literal["sagemaker", "sagemaker-runtime", "s3", "sts"], ...] = (
    "sagemaker",
    "sagemaker-runtime",
    "s3",
    "sts",
)


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

    def signing_credentials(self) -> sigv4.Credentials:
        """Return the credentials as they are now; temporary ones are not renewed behind this."""
        found = self.session.get_credentials()
        if found is None:
            raise NotReadyError("No AWS credentials were found: configure some, or use --profile.")
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


def _open_aws(options: TargetOptions) -> Target:
    if options.home is not None:
        raise UsageError("--home is for --cloud local.")
    try:
        session = boto3.Session(profile_name=options.profile, region_name=options.region)
    except ProfileNotFound as error:
        raise UsageError(f"There is no AWS profile {options.profile!r} here.") from error
    if session.region_name is None:
        raise UsageError("No AWS region is configured: name one with --region.")
    config = Config()
    if options.endpoint_url is None:
        _refuse_stray_loopback(session)
    elif urlsplit(options.endpoint_url).scheme not in {"http", "https"}:
        raise UsageError(f"--endpoint-url {options.endpoint_url!r} is not an http(s) URL.")
    elif is_loopback(options.endpoint_url):
        config = Config(proxies={}, s3={"addressing_style": "path"})
    with explained("the caller's identity"):
        sts = session.client("sts", endpoint_url=options.endpoint_url, config=config)
        account = sts.get_caller_identity()["Account"]
    return Target(
        kind="aws",
        account=account,
        region=session.region_name,
        endpoint_url=options.endpoint_url,
        session=session,
        config=config,
    )


def _refuse_stray_loopback(session: boto3.Session) -> None:
    for service in _SERVICES:
        url = session.client(service).meta.endpoint_url
        if is_loopback(url):
            raise UsageError(
                f"--cloud aws would send {service} calls to {url}, an address of this machine "
                "that comes from the environment or a config file: unset AWS_ENDPOINT_URL and "
                "its like, or name an address with --endpoint-url."
            )


def is_loopback(url: str) -> bool:
    """Say whether a URL leads back to this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
