"""What the proxy adds to a small signed call on a kept-alive connection, and `run -- true`.

The call is GetCallerIdentity: directly over plain HTTP, and to AWS's own host through CONNECT and
TLS, the client's own TLS included. Rounds of both are interleaved; the cloud is pinned to the last
core, the client to the first; figures are medians over the rounds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import cpu_s, pin, tree
from benchmarks.prepared_client import Count, Tunnel, drive
from benchmarks.signed import caller_identity
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

ROUNDS = 7
DURATION_S = 2.0
RUNS = 9
HOST = "sts.us-east-1.amazonaws.com"


def main() -> list[str]:
    """Measure and return the lines of two tables."""
    rows = [
        "| connections | direct | through the proxy | added at the median | ratio "
        "| CPU of the gateway, direct and through |",
        "|---|---|---|---|---|---|",
    ]
    own_cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "home")
        with running_cloud(home, log=Path(directory) / "up.log") as cloud:
            # The zygote is warm before anything is measured.
            time.sleep(15)
            pin([process.pid for process in tree(cloud.process.pid)], [1])
            pin([os.getpid()], [0])
            rows += [_row(cloud, connections) for connections in (1, 16)]
    os.sched_setaffinity(0, own_cores)
    times_s = sorted(_run_s() for _ in range(RUNS))
    return [
        *rows,
        "",
        "| `windtunnel run -- true`, no cloud up | min | median | max |",
        "|---|---|---|---|",
        f"| {RUNS} runs | {times_s[0]:.2f} s | {statistics.median(times_s):.2f} s "
        f"| {times_s[-1]:.2f} s |",
    ]


def _row(cloud: CloudProcess, connections: int) -> str:
    authority = cloud.home.authority_certificate
    own_host = cloud.url.removeprefix("http://")
    ways: tuple[tuple[str, Tunnel | None], ...] = (
        (own_host, None),
        (HOST, Tunnel(HOST, authority)),
    )
    counts: list[list[Count]] = [[], []]
    used_s: list[list[float]] = [[], []]
    gateway = tree(cloud.process.pid)[:1]
    host, _, port = own_host.partition(":")
    for _ in range(ROUNDS):
        for at, (name, tunnel) in enumerate(ways):
            before_s = cpu_s(gateway)
            count = drive(
                host,
                int(port),
                caller_identity(cloud.home, name),
                connections=connections,
                duration_s=DURATION_S,
                tunnel=tunnel,
            )
            if count.failures:
                raise SystemExit(f"{count.failures} requests failed")
            counts[at].append(count)
            used_s[at].append((cpu_s(gateway) - before_s) / max(1, len(count.latencies_s)))
    direct_ms, through_ms = (
        statistics.median(each.quantile_s(0.5) for each in way) * 1e3 for way in counts
    )
    cells = [
        f"{statistics.median(each.rate_rps for each in way):,.0f}/s, {median_ms:.3f} ms"
        for way, median_ms in zip(counts, (direct_ms, through_ms), strict=True)
    ]
    cpu_us = [statistics.median(way) * 1e6 for way in used_s]
    return (
        f"| {connections} | {cells[0]} | {cells[1]} | {through_ms - direct_ms:.3f} ms "
        f"| {through_ms / direct_ms:.2f} | {cpu_us[0]:,.0f} and {cpu_us[1]:,.0f} µs |"
    )


def _run_s() -> float:
    with tempfile.TemporaryDirectory() as directory:
        begin_s = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "windtunnel", "run", "--home", directory, "--", "true"],
            check=True,
        )
        return time.perf_counter() - begin_s
