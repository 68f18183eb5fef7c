"""The environment of a command inside the wind tunnel: every road to AWS leads to one home's cloud.

Three things beside what `windtunnel env` sets: the proxy, for clients that hard-code AWS's hosts;
whom to trust, in every variable that some client reads; and a NO_PROXY that lets no AWS host pass.
"""

import hashlib
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.aws.hosts import covers_aws_hosts
from windtunnel.cli.env import exports
from windtunnel.cloud.gateway.proxy.permits import Permit, user_info
from windtunnel.core import limits
from windtunnel.core.home import CloudRecord, Home, write_private

# Each is read by some client: urllib, requests, botocore, Go and Node take either case, curl only
# the lower one of http_proxy.
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
# These would lead around the proxy (SOCKS, for one).
_OTHER_PROXY_VARIABLES = ("ALL_PROXY", "all_proxy")
# botocore and the AWS CLI; requests and pip; OpenSSL's own (Python's ssl, Go, Ruby); curl.
_BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
# Node adds this one to its own.
_EXTRA_VARIABLE = "NODE_EXTRA_CA_CERTS"
# Where systems keep everybody's authorities: Debian, Red Hat, SUSE; macOS and Alpine.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s.+?\s-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)


@dataclass(frozen=True)
class Inside:
    """An environment, and what a user should be told of it."""

    environment: dict[str, str]
    remarks: list[str]


def inside(
    home: Home, cloud: CloudRecord, permits: Sequence[Permit], base: Mapping[str, str]
) -> Inside:
    """Return the environment that a command gets in place of `base`; write the files it names."""
    for file in (home.aws_config, home.aws_credentials):
        if not file.exists():
            write_private(file, "")
    # Nothing of the user's own AWS settings goes along, whatever it may mean to which client.
    environment = {
        name: value
        for name, value in base.items()
        if not name.startswith("AWS_") and name not in _OTHER_PROXY_VARIABLES
    }
    environment |= exports(home, cloud.url, cloud.region)
    kept, dropped = split_no_proxy(environment["NO_PROXY"])
    proxy = proxy_url(cloud.url, permits, home)
    bundle = write_bundle(home, base)
    environment |= dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(kept))
    environment |= dict.fromkeys(_PROXY_VARIABLES, proxy)
    environment |= dict.fromkeys(_BUNDLE_VARIABLES, str(bundle))
    environment[_EXTRA_VARIABLE] = str(bundle)
    # Node 24 and later read the variables of a proxy only when they are told to.
    environment["NODE_USE_ENV_PROXY"] = "1"
    # Nobody answers there, and clients that look for a region would wait for it.
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    return Inside(environment, _remarks(dropped, permits, base))


def split_no_proxy(text: str) -> tuple[list[str], list[str]]:
    """Return the entries of a NO_PROXY that may stay, and those that meet AWS's hosts."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    dropped = [entry for entry in entries if covers_aws_hosts(entry)]
    return [entry for entry in entries if entry not in dropped], dropped


def proxy_url(url: str, permits: Sequence[Permit], home: Home) -> str:
    """Return the URL of a cloud's proxy, with the permits in it."""
    if not permits:
        return url
    scheme, _, where = url.partition("://")
    return f"{scheme}://{user_info(permits, home.credentials().secret_access_key)}@{where}"


def write_bundle(home: Home, base: Mapping[str, str]) -> Path:
    """Write the authorities to trust: everybody's, those of the user's variables, the home's.

    The file is named by what is in it: another run, with other authorities, has another.
    """
    named = [base[name] for name in (*_BUNDLE_VARIABLES, _EXTRA_VARIABLE) if base.get(name)]
    default = ssl.get_default_verify_paths().openssl_cafile
    # In this order, each once; the home's own comes last, as the one to look for.
    found: dict[str, None] = {}
    for path in (*named, default, *_SYSTEM_BUNDLES, *_certifi()):
        found |= dict.fromkeys(_certificates(Path(path)))
    found |= dict.fromkeys(_certificates(home.authority_certificate))
    text = "\n".join(found) + "\n"
    bundle = home.trust_bundle(hashlib.sha256(text.encode()).hexdigest()[:16])
    if not bundle.exists():
        write_private(bundle, text)
        for old in home.trust_bundles()[limits.TRUST_BUNDLE_COUNT_MAX :]:
            old.unlink(missing_ok=True)
    return bundle


def _certifi() -> list[str]:
    try:
        import certifi
    except ImportError:
        return []
    return [certifi.where()]


def _certificates(path: Path) -> list[str]:
    """Return the certificates of a file, none where it cannot be read."""
    try:
        # Comments beside them may be in any encoding.
        text = path.read_text(encoding="latin-1")
    except OSError:
        return []
    return _CERTIFICATE.findall(text)


def _remarks(
    dropped: Sequence[str], permits: Sequence[Permit], base: Mapping[str, str]
) -> list[str]:
    remarks = []
    if dropped:
        remarks.append(
            f"NO_PROXY is without {', '.join(dropped)} inside: AWS hosts must not pass by."
        )
    own = [name for name in (*_PROXY_VARIABLES, *_OTHER_PROXY_VARIABLES) if base.get(name)]
    if permits and own:
        remarks.append(f"Allowed hosts are reached directly, not through your {own[0]}.")
    return remarks
