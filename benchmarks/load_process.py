"""One load process and the small request it sends, for benchmarks of the generator itself."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from windtunnel.aws import sigv4
from windtunnel.lab.load.conductor import Conductor
from windtunnel.lab.load.plan import PayloadFacts, Plan, Schedule
from windtunnel.lab.measurement import Measurement
from windtunnel.lab.payload import Payload

BODY = b'{"instances": [[1.0, 2.0, 3.0]]}'


class _Keys:
    """A key pair that lasts."""

    def credentials_expire_within(self, span_s: float) -> bool:
        """Never."""
        del span_s
        return False

    def signing_credentials(self) -> sigv4.Credentials:
        """Return it."""
        return sigv4.Credentials("AKIDEXAMPLE", "secret")


def measure(url: str, schedule: Schedule) -> Measurement:
    """Send signed requests to a server as `windtunnel load` does, from one process."""
    payload = Payload("body", BODY, "application/json", sigv4.payload_hash(BODY))
    plan = Plan(
        endpoint_name="unet",
        url=url,
        region="us-east-1",
        payloads=(PayloadFacts.of(payload),),
        accept=None,
        schedule=schedule,
        processes=1,
        objectives=(),
    )
    return Conductor(plan, [BODY], _Keys()).run()


@contextmanager
def echo() -> Iterator[str]:
    """Run the echo server; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("echo_server.py"))],
        env={**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)},
    )
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
