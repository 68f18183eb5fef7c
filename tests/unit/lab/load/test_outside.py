"""`windtunnel load` when the other side is not what it should be: a sentence, and the right status.

To a pipeline 1 is an objective that was missed: what kept the run from being made must not be that.
"""

import datetime as dt
import ipaddress
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.unit.lab.conftest import Refusal

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

pytestmark = pytest.mark.slow


@pytest.fixture
def load(windtunnel: "Command", in_service: str, payload_file: Path, tmp_path: Path) -> "Command":
    """Return a function that puts a short load on an endpoint in service."""

    def run(*words: object) -> "Ran":
        return windtunnel(
            *("load", in_service, "--payload", payload_file, "--out", tmp_path / "run"),
            *("--duration", "2s", "--warmup", "0s", *words),
        )

    return run


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a server whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = _Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that go away in the handshake: that is the test."""


def test_a_certificate_that_nobody_vouches_for_is_said_with_what_to_do(
    load: "Command", to_aws: list[str], self_signed: str, tmp_path: Path
) -> None:
    """Behind a company's proxy this is the first thing that anybody meets."""
    words = [*to_aws[:-1], self_signed]

    ran = load("--users", 1, *words)

    assert ran.code == 4, ran.err
    assert "TLS failed when asking for the caller's identity" in ran.err
    assert "self-signed certificate" in ran.err
    assert "AWS_CA_BUNDLE" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("UnrecognizedClientException", "The credentials were refused when asking for"),
        ("ExpiredTokenException", "The credentials were refused when asking for"),
        ("AccessDeniedException", "failed: not for you (AccessDeniedException)"),
        ("ThrottlingSomething", "failed: not for you (ThrottlingSomething)"),
    ],
)
def test_a_caller_who_is_refused_has_no_verdict(
    load: "Command", aws: "FakeAws", to_aws: list[str], code: str, sentence: str
) -> None:
    """A pipeline with a stale key must not report that the model became slow."""

    def refuse(asked: "Asked") -> None:
        # STS has a form of its own, and knows the caller.
        if asked.action != "GetCallerIdentity":
            raise Refusal("not for you", code, 403)

    aws.gate = refuse

    ran = load("--users", 1, *to_aws)

    assert ran.code == 4, ran.err
    assert sentence in ran.err
    assert "Traceback" not in ran.err


def test_an_address_where_no_aws_answers_is_said_to_be_one(
    load: "Command", aws: "FakeAws", to_aws: list[str]
) -> None:
    """A wrong --endpoint-url mostly leads to some web server, which answers anything."""

    def refuse(_asked: "Asked") -> None:
        raise Refusal("<html>Not found</html>", "x", 404)

    aws.gate = refuse

    ran = load("--users", 1, *to_aws)

    assert ran.code == 4, ran.err
    assert "does not speak as AWS does: is --endpoint-url right?" in ran.err
    assert "Traceback" not in ran.err


def test_requests_that_are_refused_for_their_key_are_told_in_aws_own_words(
    load: "Command", aws: "FakeAws"
) -> None:
    """Who may describe an endpoint may still not invoke it: that is no fault of the model's."""

    def refuse(asked: "Asked") -> None:
        if asked.action == "InvokeEndpoint":
            time.sleep(0.01)
            raise Refusal("no sagemaker:InvokeEndpoint", "AccessDeniedException", 403)

    aws.gate = refuse

    ran = load("--users", 2)

    assert ran.code in {1, 3}, ran.err
    assert b"AccessDeniedException (403): no sagemaker:InvokeEndpoint" in ran.out
    assert b"latency" not in ran.out


def test_an_open_loop_goes_on_when_its_endpoint_goes_away_and_is_invalid(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """Requests are due whatever becomes of the endpoint: each that nobody took is in the record."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        if aws.actions().count("InvokeEndpoint") == 20:
            aws.close()
        is_last = aws.actions().count("InvokeEndpoint") >= 20
        return 200, {"Connection": "close"} if is_last else {}, b"{}"

    aws.answer = answer

    ran = load("--rate", 50, "--duration", "3s")

    assert ran.code == 3, ran.err
    assert "INVALID   the endpoint stopped answering " in ran.err
    assert "Traceback" not in ran.err
    rows = pq.read_table(tmp_path / "run" / "requests.parquet").to_pylist()
    kinds = Counter(row["error"] for row in rows)
    assert len(rows) == 150
    assert kinds[None] >= 20
    assert kinds["connection refused"] > 50
