"""One load process against a server that costs almost nothing.

How many signed requests a second, and how much processor each costs the client, beside the two
ways people send them from Python today: boto3's own client, as the workshop's users did, and
Locust's FastHttpUser, which does not sign. All three keep their connections and send the same
small body to the same server from 8 users; the server is `echo_server.py`.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from windtunnel.aws import sigv4
from windtunnel.lab.load.conductor import Conductor
from windtunnel.lab.load.plan import Plan, closed_schedule

_USERS = 8
_LENGTH_S = 5.0
_BODY = b'{"instances": [[1.0, 2.0, 3.0]]}'
# The same request for each peer; each prints its requests a second and its processor time.
_BOTO3 = """
import json, sys, threading, time
import boto3
from botocore.config import Config
url, users, length_s, body = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4].encode()
session = boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
config = Config(retries={"total_max_attempts": 1}, max_pool_connections=users)
client = session.client("sagemaker-runtime", endpoint_url=url, config=config)
counts = [0] * users
def send(number):
    while time.monotonic() < end_s:
        words = {"EndpointName": "unet", "ContentType": "application/json", "Body": body}
        client.invoke_endpoint(**words)["Body"].read()
        counts[number] += 1
end_s = time.monotonic() + length_s
began_s = time.process_time()
threads = [threading.Thread(target=send, args=(number,)) for number in range(users)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([sum(counts) / length_s, (time.process_time() - began_s) / sum(counts)]))
"""
_LOCUST = """
import json, os, time
from locust import FastHttpUser, events, task
class Caller(FastHttpUser):
    @task
    def predict(self):
        body, headers = os.environ["BODY"], {"Content-Type": "application/json"}
        self.client.post("/endpoints/unet/invocations", data=body, headers=headers)
began = {}
@events.test_start.add_listener
def start(environment, **_):
    began.update(cpu_s=time.process_time(), at_s=time.monotonic())
@events.test_stop.add_listener
def stop(environment, **_):
    count = environment.stats.total.num_requests
    length_s = time.monotonic() - began["at_s"]
    print(json.dumps([count / length_s, (time.process_time() - began["cpu_s"]) / count]))
"""


def main() -> Iterator[str]:
    """Yield a Markdown table: requests a second and processor time a request."""
    with _echo() as url:
        rows = [
            ("`windtunnel load`, 1 process, signed", *_windtunnel(url)),
            ("Locust FastHttpUser, 1 process, unsigned", *_locust(url)),
            ("boto3, 1 process of 8 threads, signed", *_boto3(url)),
        ]
    yield "| client | requests/s | client's processor time a request |"
    yield "|---|---|---|"
    for name, rate, cost_s in rows:
        yield f"| {name} | {rate:,.0f} | {cost_s * 1e6:,.0f} µs |"


class _Keys:
    """A key pair that lasts."""

    def credentials_expire_within(self, span_s: float) -> bool:
        """Never."""
        del span_s
        return False

    def signing_credentials(self) -> sigv4.Credentials:
        """Return it."""
        return sigv4.Credentials("AKIDEXAMPLE", "secret")


def _windtunnel(url: str) -> tuple[float, float]:
    with tempfile.NamedTemporaryFile() as payload:
        payload.write(_BODY)
        payload.flush()
        plan = Plan(
            endpoint_name="unet",
            url=url,
            region="us-east-1",
            payload_path=payload.name,
            payload_bytes=len(_BODY),
            payload_sha256=sigv4.payload_hash(_BODY),
            content_type="application/json",
            accept=None,
            schedule=closed_schedule(
                users=_USERS, spawn_rate_per_s=None, warmup_s=0, duration_s=_LENGTH_S
            ),
            processes=1,
            objectives=(),
        )
        (worker,) = Conductor(plan, _Keys(), lambda _tick: None).run().workers
    return worker.requests / worker.end_s, worker.cpu_share * worker.end_s / worker.requests


def _boto3(url: str) -> tuple[float, float]:
    words = [sys.executable, "-c", _BOTO3, url, str(_USERS), str(_LENGTH_S), _BODY.decode()]
    return _told(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def _locust(url: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "locustfile.py"
        file.write_text(_LOCUST)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(file), "--headless", "-H", url),
                *("-u", str(_USERS), "-r", str(_USERS), "-t", f"{_LENGTH_S:.0f}s"),
            ],
            env={**os.environ, "BODY": _BODY.decode()},
            check=True,
            capture_output=True,
            text=True,
            cwd=directory,
        )
    return _told(done.stdout)


def _told(output: str) -> tuple[float, float]:
    rate, cost_s = json.loads(output.strip().splitlines()[0])
    return rate, cost_s


@contextmanager
def _echo() -> Iterator[str]:
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


if __name__ == "__main__":
    for line in main():
        print(line)
