"""The home's authority vouches for AWS's hosts, for a day, and for nobody else."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from windtunnel.cloud.gateway.proxy.authority import Authority
from windtunnel.cloud.gateway.proxy.certificates import Pair, new_authority, new_leaf
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock
from windtunnel.core.home import Home

HOST = "sagemaker.us-west-2.amazonaws.com"
NOW_S = datetime.now(UTC).timestamp()


def handshake(authority: Pair, leaf: Pair, host: str, tmp_path: Path) -> None:
    """Have a client that trusts the authority meet a server with this certificate."""
    file = tmp_path / "leaf.pem"
    file.write_bytes(leaf.key_pem + leaf.certificate_pem)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(file)
    client_context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() is not None


def test_a_strict_client_that_trusts_the_authority_trusts_its_leaves(tmp_path: Path) -> None:
    """Python 3.13 checks certificates to the letter, and so do Go and Node."""
    authority = new_authority("home", NOW_S)

    handshake(authority, new_leaf(authority, HOST, NOW_S), HOST, tmp_path)
    long = f"{'my.bucket' * 7}.s3.us-east-1.amazonaws.com"
    handshake(authority, new_leaf(authority, long, NOW_S), long, tmp_path)


def test_a_leaf_lasts_a_day_and_names_one_host() -> None:
    """One that leaks is worth little, and not for long."""
    authority = new_authority("home", NOW_S)
    leaf = new_leaf(authority, HOST, NOW_S).certificate
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert names.get_values_for_type(x509.DNSName) == [HOST]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(hours=25)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize("host", ["pypi.org", "localhost", "*.amazonaws.com", "amazonaws.com", ""])
def test_no_leaf_is_issued_for_another_host(host: str) -> None:
    """Who can write to the home's port must not become a bank."""
    with pytest.raises(ValueError, match="no host of AWS's"):
        new_leaf(new_authority("home", NOW_S), host, NOW_S)


def test_even_with_the_stolen_key_no_client_believes_in_another_host(tmp_path: Path) -> None:
    """The authority's certificate itself says what it may vouch for."""
    authority = new_authority("home", NOW_S)
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bank.example")]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(authority, Pair(forged, key), "bank.example", tmp_path)


# --- at work ------------------------------------------------------------------------------------


def with_authority(
    home: Home, clock: ManualClock, play: Callable[[Authority], Awaitable[None]]
) -> None:
    async def run() -> None:
        authority = Authority(home, clock)
        await authority.open()
        try:
            await play(authority)
        finally:
            authority.close()

    asyncio.run(run())


async def nothing(_authority: Authority) -> None:
    """Open and close."""


def test_the_key_is_its_owners_alone_and_both_outlive_the_cloud(tmp_path: Path) -> None:
    """Clients that trust the home today must still do tomorrow."""
    home = Home(tmp_path / "home")
    with_authority(home, ManualClock(NOW_S), nothing)
    first = home.authority_certificate.read_bytes()
    (home.authority_key.parent / ".leaf-of-a-killed-cloud").write_text("key")
    with_authority(home, ManualClock(NOW_S), nothing)

    assert home.authority_certificate.read_bytes() == first
    assert home.authority_key.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in home.authority_key.parent.iterdir()) == [
        "certificate.pem",
        "key.pem",
    ]


@pytest.mark.parametrize("broken", ["key", "certificate", "other", "old", "half"])
def test_an_authority_that_cannot_be_used_is_made_anew(tmp_path: Path, broken: str) -> None:
    """A half-written or foreign file must not keep the cloud from starting."""
    home = Home(tmp_path / "home")
    clock = ManualClock(NOW_S)
    with_authority(home, clock, nothing)
    first = home.authority_certificate.read_bytes()
    if broken == "key":
        home.authority_key.write_text("no key")
    elif broken == "certificate":
        home.authority_certificate.write_text("no certificate")
    elif broken == "half":
        home.authority_key.unlink()
    elif broken == "other":
        home.authority_key.write_bytes(new_authority("other", NOW_S).key_pem)
    else:
        clock.advance(limits.AUTHORITY_LIFETIME_S - limits.AUTHORITY_RENEWAL_S + 1)
    with_authority(home, clock, nothing)

    assert home.authority_certificate.read_bytes() != first


def test_a_host_is_issued_once_renewed_in_time_and_forgotten_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tunnel would otherwise cost a signature, and a day-old cloud would serve old ones."""
    clock = ManualClock(NOW_S)
    monkeypatch.setattr(limits, "LEAF_COUNT_MAX", 2)

    async def play(authority: Authority) -> None:
        first, again = await asyncio.gather(authority.context(HOST), authority.context(HOST))
        assert first is again
        clock.advance(limits.LEAF_LIFETIME_S - limits.LEAF_RENEWAL_S + 1)
        renewed = await authority.context(HOST)
        assert renewed is not first
        await authority.context("a.amazonaws.com")
        assert await authority.context(HOST) is renewed
        await authority.context("b.amazonaws.com")
        assert await authority.context(HOST) is renewed, "the one that was used last is kept"
        assert len(authority._ready) == 2

    with_authority(Home(tmp_path / "home"), clock, play)


def test_a_failure_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One failure must not be remembered for the life of the cloud."""

    async def play(authority: Authority) -> None:
        def refuse(_name: str) -> int:
            raise OSError("Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(os, "memfd_create", refuse, raising=False)
            with pytest.raises(OSError, match="Too many open files"):
                await authority.context(HOST)
        assert await authority.context(HOST)

    with_authority(Home(tmp_path / "home"), ManualClock(NOW_S), play)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has files in memory")
def test_a_disk_that_is_full_does_not_end_tls(tmp_path: Path) -> None:
    """Clients of a cloud without room must be told so, which takes a connection."""
    home = Home(tmp_path / "home")

    async def play(authority: Authority) -> None:
        home.authority_key.parent.rename(home.path / "away")
        assert await authority.context(HOST)

    with_authority(home, ManualClock(NOW_S), play)


def test_a_stolen_key_does_not_vouch_for_an_address(tmp_path: Path) -> None:
    """A constraint on names says nothing about addresses: they are excluded on their own."""
    authority = new_authority("home", NOW_S)
    constraints = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    excluded = {str(each.value) for each in constraints.value.excluded_subtrees or ()}

    assert constraints.critical
    assert excluded == {"0.0.0.0/0", "::/0"}
