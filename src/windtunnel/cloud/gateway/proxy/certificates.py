"""The certificates of one home: its authority's own, and those it issues. Pure, but for chance.

The authority may vouch for AWS's hosts alone, which its certificate says itself (RFC 5280,
4.2.1.10, name constraints, critical): not even a stolen key makes a client that trusts it believe
in another host. Keys are on P-256, which every TLS client knows and which are made in a moment.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from windtunnel.aws.hosts import SUFFIXES, is_aws_host
from windtunnel.core import limits


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as text."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as text, without a passphrase."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def ends_s(self) -> float:
        """When the certificate ends, in seconds since the epoch."""
        return self.certificate.not_valid_after_utc.timestamp()


def new_authority(home_id: str, now_s: float) -> Pair:
    """Return a new authority for a home."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Windtunnel"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Windtunnel local cloud {home_id}"),
        ]
    )
    usage = _usage(digital_signature=False, key_cert_sign=True)
    constraints = x509.NameConstraints(
        [x509.DNSName(suffix) for suffix in SUFFIXES],
        # A constraint on names of hosts says nothing about addresses (RFC 5280, 4.2.1.10).
        [x509.IPAddress(ipaddress.ip_network(each)) for each in ("0.0.0.0/0", "::/0")],
    )
    certificate = (
        _builder(name, name, key, now_s, limits.AUTHORITY_LIFETIME_S)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(constraints, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def read_authority(certificate_pem: bytes, key_pem: bytes, now_s: float) -> Pair:
    """Return an authority as it was kept; raise ValueError when it can be used no longer."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("its key is of another kind")  # noqa: TRY004 - the file is wrong, not us
    if key.public_key() != certificate.public_key():
        raise ValueError("its key belongs to another certificate")
    pair = Pair(certificate, key)
    if pair.ends_s - now_s < limits.AUTHORITY_RENEWAL_S:
        raise ValueError("it is about to end")
    return pair


def new_leaf(authority: Pair, host: str, now_s: float) -> Pair:
    """Return a new certificate for one of AWS's hosts."""
    if not is_aws_host(host):
        raise ValueError(f"{host} is no host of AWS's")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Windtunnel")])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(name, authority.certificate.subject, key, now_s, limits.LEAF_LIFETIME_S)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, key_cert_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now_s: float,
    lifetime_s: float,
) -> x509.CertificateBuilder:
    public_key = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now_s - limits.CERTIFICATE_BACKDATE_S, UTC))
        .not_valid_after(datetime.fromtimestamp(now_s + lifetime_s, UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, digital_signature: bool, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
