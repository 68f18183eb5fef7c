"""One load process against a server that costs almost nothing.

How many signed requests a second, and how much processor each costs the client, beside the two
ways people send them from Python today: boto3's own client, as the workshop's users did, and
Locust's FastHttpUser, which does not sign. All three keep their connections and send the same
small body to the same server from 8 users; the server is `echo_server.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load_process import BODY, echo, measure
from windtunnel.lab.load.closed_schedule import closed_schedule

_USERS = 8
_LENGTH_S = 5.0
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
    with echo() as url:
        rows = [
            ("`windtunnel load`, 1 process, signed", *_windtunnel(url)),
            ("Locust FastHttpUser, 1 process, unsigned", *_locust(url)),
            ("boto3, 1 process of 8 threads, signed", *_boto3(url)),
        ]
    yield "| client | requests/s | client's processor time a request |"
    yield "|---|---|---|"
    for name, rate, cost_s in rows:
        yield f"| {name} | {rate:,.0f} | {cost_s * 1e6:,.0f} µs |"


def _windtunnel(url: str) -> tuple[float, float]:
    schedule = closed_schedule(
        users=_USERS, spawn_rate_per_s=None, warmup_s=0, duration_s=_LENGTH_S
    )
    (worker,) = measure(url, schedule).workers
    return worker.requests / worker.end_s, worker.cpu_share * worker.end_s / worker.requests


def _boto3(url: str) -> tuple[float, float]:
    words = [sys.executable, "-c", _BOTO3, url, str(_USERS), str(_LENGTH_S), BODY.decode()]
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
            env={**os.environ, "BODY": BODY.decode()},
            check=True,
            capture_output=True,
            text=True,
            cwd=directory,
        )
    return _told(done.stdout)


def _told(output: str) -> tuple[float, float]:
    rate, cost_s = json.loads(output.strip().splitlines()[0])
    return rate, cost_s


if __name__ == "__main__":
    for line in main():
        print(line)
