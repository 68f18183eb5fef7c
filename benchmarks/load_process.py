"""Load processes and a server that costs next to nothing, for benchmarks of the generator itself.

`measure` sends as `windtunnel load` does, by the same conductor. Where the machine has two cores or
more, the server is kept on the last and its clients (whose processes inherit it) on the first, so
that neither takes the other's time.
"""

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from windtunnel.aws import sigv4
from windtunnel.lab.load.conductor import Conductor, Tick
from windtunnel.lab.load.open_schedule import OpenSchedule, open_schedule
from windtunnel.lab.load.plan import Listening, PayloadFacts, Plan, Schedule
from windtunnel.lab.measurement import Measurement
from windtunnel.lab.payload import Payload

BODY = b'{"instances": [[1.0, 2.0, 3.0]]}'
# `generator.py` gives load processes this priority, where it may: so do its peers get it.
NICENESS = -5
_MODULE = "windtunnel.lab.load.generator"
_CORES = sorted(os.sched_getaffinity(0))


class _Keys:
    """A key pair that lasts."""

    def credentials_expire_within(self, span_s: float) -> bool:
        """Never."""
        del span_s
        return False

    def signing_credentials(self) -> sigv4.Credentials:
        """Return it."""
        return sigv4.Credentials("AKIDEXAMPLE", "secret")


def measure(
    url: str,
    schedule: Schedule,
    *,
    body: bytes = BODY,
    processes: int = 1,
    on_tick: Callable[[Tick], None] = lambda _tick: None,
    watch: Callable[[Tick], str | None] = lambda _tick: None,
    listening: Listening | None = None,
) -> Measurement:
    """Send signed requests to a server as `windtunnel load` does.

    `listening` says where workers that others start are waited for.
    """
    payload = Payload("body", body, "application/json", sigv4.payload_hash(body))
    plan = Plan(
        endpoint_name="unet",
        url=url,
        region="us-east-1",
        payloads=(PayloadFacts.of(payload),),
        accept=None,
        schedule=schedule,
        processes=processes,
        objectives=(),
    )
    return Conductor(plan, [body], _Keys(), on_tick, watch, listening=listening).run()


def at_rate(
    rate_rps: float,
    *,
    warmup_s: float,
    length_s: float,
    spacing: str = "constant",
    processes: int = 1,
) -> OpenSchedule:
    """Return requests at a rate."""
    return open_schedule(
        rate_per_s=rate_rps,
        stages=None,
        trace=None,
        arrivals=spacing,
        seed=0,
        warmup_s=warmup_s,
        duration_s=length_s,
        processes=processes,
    )


def load_processes() -> Iterator[tuple[str, psutil.Process]]:
    """Yield the load processes that this one has started, each with its role."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            if _MODULE in words:
                yield words[words.index(_MODULE) + 1], process


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@contextmanager
def echo(
    *, answer_bytes: int = 0, checks_signatures: bool = False, certificate: Path | None = None
) -> Iterator[str]:
    """Run the echo server; yield its address."""
    port = free_port()
    settings = {"SAGEMAKER_BIND_TO_PORT": str(port), "ECHO_ANSWER_BYTES": str(answer_bytes)}
    if checks_signatures:
        settings["ECHO_SIGNATURES"] = "1"
    if certificate is not None:
        settings["ECHO_CERTIFICATE"] = str(certificate)
    with on_core(-1):
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("echo_server.py"))],
            env={**os.environ, **settings},
        )
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, server.pid, NICENESS)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        with on_core(0):
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on one of the cores it began with."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_CORES[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def self_signed() -> Iterator[Path]:
    """Yield a file with a certificate of 127.0.0.1 and its key, which clients here then trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        before = os.environ.get("AWS_CA_BUNDLE")
        os.environ["AWS_CA_BUNDLE"] = str(path)
        try:
            yield path
        finally:
            del os.environ["AWS_CA_BUNDLE"]
            if before is not None:
                os.environ["AWS_CA_BUNDLE"] = before
