"""`windtunnel env`: what a shell needs so that every AWS client lands in the local cloud."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.core.home import Home, write_private

# Variables that would lead a client elsewhere, or hand it somebody else's identity.
# (botocore, "Configuration"; AWS SDKs and Tools Reference Guide, "Environment variables".)
_UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ACCOUNT_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CA_BUNDLE",
)
# Endpoints of single services, and keys of another kind.
_UNSET_PREFIXES = ("AWS_ENDPOINT_URL_", "AWS_BEARER_TOKEN_")
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


def exports(home: Home, url: str, region: str) -> dict[str, str]:
    """Return the variables that point every AWS client at the cloud of this home."""
    credentials = home.credentials()
    # boto3 sends even http://127.0.0.1 through a proxy unless it is told not to.
    told = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    hosts = [host for host in told.split(",") if host]
    hosts += [host for host in _LOOPBACK_HOSTS if host not in hosts]
    no_proxy = ",".join(hosts)
    return {
        "WINDTUNNEL_HOME": str(home.path),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_CONFIG_FILE": str(home.aws_config),
        "AWS_SHARED_CREDENTIALS_FILE": str(home.aws_credentials),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def unsets() -> list[str]:
    """Return the variables to remove: the fixed ones, and endpoints of single services."""
    found = [name for name in os.environ if name.startswith(_UNSET_PREFIXES)]
    return [*_UNSET, *sorted(found)]


def env(
    home: Annotated[
        Path | None, typer.Option(help="The home whose cloud is meant (default ~/.windtunnel).")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="The region clients are told; else the cloud's own.", show_default=False),
    ] = None,
) -> None:
    """Print `export` and `unset` lines that point boto3, the AWS CLI and SDKs at the local cloud.

    Use it so:  eval "$(windtunnel env)"
    """
    where = Home.resolve(home)
    record = where.running()
    for file in (where.aws_config, where.aws_credentials):
        if not file.exists():
            write_private(file, "")
    for name, value in exports(where, record.url, region or record.region).items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo(f"unset {' '.join(unsets())}")
