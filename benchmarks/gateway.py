"""Gateway and router alone: signed requests to an echo container, against the container itself.

The cloud is pinned to the last core, the container and the client to the first: what is measured
is one core of gateway. Rounds of both are interleaved; figures are medians over the rounds.
"""

import statistics
import tempfile
from pathlib import Path

import boto3

from benchmarks.endpoints import echo_endpoint
from benchmarks.machine import cpu_s, pin, tree
from benchmarks.prepared_client import Count, drive
from benchmarks.signed import invocation, plain
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

ROUNDS = 5
DURATION_S = 3.0


def main() -> list[str]:
    """Measure and return the lines of a table."""
    rows = [
        "| bodies | connections | echo alone | through the gateway | added at the median "
        "| CPU of the gateway |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "home")
        with running_cloud(home, log=Path(directory) / "up.log") as cloud:
            session = boto3.Session()
            for label, request_bytes, answer_bytes, connections in (
                ("10 B in, 10 B out", 10, 0, 1),
                ("10 B in, 10 B out", 10, 0, 16),
                ("1 MB in, 0.8 MB out", 1_000_000, 800_000, 1),
            ):
                with echo_endpoint(session, cloud, answer_bytes) as (name, echo_url, echo_pid):
                    rows.append(
                        _row(cloud, label, request_bytes, connections, name, echo_url, echo_pid)
                    )
    return rows


def _row(
    cloud: CloudProcess,
    label: str,
    request_bytes: int,
    connections: int,
    name: str,
    echo_url: str,
    echo_pid: int,
) -> str:
    first, last = 0, 1
    pin([cloud.process.pid], [last])
    pin((process.pid for process in tree(echo_pid)), [first])
    pin([_own_pid()], [first])
    body = b"x" * request_bytes
    alone: list[Count] = []
    through: list[Count] = []
    used_s: list[float] = []
    for _ in range(ROUNDS):
        alone.append(_drive(echo_url, plain(echo_url, "/invocations", body), connections))
        before_s = cpu_s([tree(cloud.process.pid)[0]])
        count = _drive(cloud.url, invocation(cloud.home, cloud.url, name, body), connections)
        spent_s = cpu_s([tree(cloud.process.pid)[0]]) - before_s
        through.append(count)
        used_s.append(spent_s / max(1, len(count.latencies_s)))
        if count.failures:
            raise SystemExit(f"{count.failures} requests failed")
    base_ms = statistics.median(each.quantile_s(0.5) for each in alone) * 1e3
    with_ms = statistics.median(each.quantile_s(0.5) for each in through) * 1e3
    return (
        f"| {label} | {connections} "
        f"| {statistics.median(each.rate_rps for each in alone):,.0f}/s, {base_ms:.3f} ms "
        f"| {statistics.median(each.rate_rps for each in through):,.0f}/s, {with_ms:.3f} ms "
        f"| {with_ms - base_ms:.3f} ms | {statistics.median(used_s) * 1e6:,.0f} µs |"
    )


def _drive(url: str, request: bytes, connections: int) -> Count:
    host, _, port = url.removeprefix("http://").partition(":")
    return drive(host, int(port), request, connections=connections, duration_s=DURATION_S)


def _own_pid() -> int:
    import os

    return os.getpid()
