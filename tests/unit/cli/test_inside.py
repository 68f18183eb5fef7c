"""What a command under `windtunnel run` finds in its environment."""

import base64
import os
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.aws.hosts import covers_aws_hosts
from windtunnel.cli.inside import inside, split_no_proxy, write_bundle
from windtunnel.cloud.gateway.proxy.certificates import new_authority
from windtunnel.cloud.gateway.proxy.permits import carried, read_permit
from windtunnel.core.home import CloudRecord, Home, write_private

CLOUD = CloudRecord("http://127.0.0.1:4566", os.getpid(), "g", 1.0, "eu-west-1")
NOW_S = 1_800_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with an authority."""
    made = Home(tmp_path / "home")
    authority = new_authority("home", NOW_S)
    write_private(made.authority_certificate, authority.certificate_pem.decode())
    return made


def test_every_variable_that_some_client_reads_leads_here(home: Home) -> None:
    """One that is forgotten sends one client's requests out."""
    base = {
        "PATH": "/bin",
        "all_proxy": "socks5://corp",
        "AWS_PROFILE": "production",
        "AWS_BEARER_TOKEN_BEDROCK": "theirs",
        "AWS_DEFAULT_OUTPUT": "theirs",
    }
    environment = inside(home, CLOUD, [], base).environment
    (bundle,) = home.trust_bundles()

    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL"):
        assert environment[name] == CLOUD.url
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        assert environment[name] == str(bundle)
    assert environment["NODE_EXTRA_CA_CERTS"] == str(bundle)
    assert environment["AWS_REGION"] == "eu-west-1"
    assert environment["PATH"] == "/bin"
    assert "theirs" not in environment.values()
    assert not {"all_proxy", "AWS_PROFILE"} & set(environment)
    assert home.aws_config.exists()


def test_permits_travel_in_the_proxys_url(home: Home) -> None:
    """Every client takes user info from there and sends it along."""
    permits = [read_permit("pypi.org"), read_permit("*.pythonhosted.org")]
    made = inside(home, CLOUD, permits, {"HTTPS_PROXY": "http://corp"})
    info, _, where = made.environment["HTTPS_PROXY"].removeprefix("http://").partition("@")
    header = b"Basic " + base64.b64encode(info.encode())

    assert where == "127.0.0.1:4566"
    assert carried(header, home.credentials().secret_access_key) == tuple(permits)
    assert made.remarks == ["Allowed hosts are reached directly, not through your HTTPS_PROXY."]


@given(st.text(alphabet="*.,: acomznws", max_size=40))
def test_no_entry_that_meets_awss_hosts_stays(text: str) -> None:
    """However it is written."""
    kept, dropped = split_no_proxy(text)

    assert not any(map(covers_aws_hosts, kept))
    assert sorted(kept + dropped) == sorted(e.strip() for e in text.split(",") if e.strip())


def test_the_bundle_has_everybodys_authorities_the_users_and_ours_each_once(
    home: Home, tmp_path: Path
) -> None:
    """Allowed hosts must verify as they do outside, a company's own too."""
    company = tmp_path / "company.pem"
    pem = new_authority("company", NOW_S).certificate_pem.decode()
    company.write_text(f"# Société\n{pem}\n{pem}", encoding="latin-1")
    bundle = write_bundle(home, {"SSL_CERT_FILE": str(company), "CURL_CA_BUNDLE": "/not/there"})
    text = bundle.read_text()
    context = ssl.create_default_context(cafile=bundle)

    assert text.count(pem.strip()) == 1
    assert text.strip().endswith(home.authority_certificate.read_text().strip())
    assert len(context.get_ca_certs()) > 50
    before = bundle.stat().st_ino
    write_bundle(home, {"SSL_CERT_FILE": str(company)})
    assert bundle.stat().st_ino == before, "a bundle in use is not touched without need"
