"""One load process beside what people load SageMaker with today, and beside the least there is.

Each client keeps 8 connections in a closed loop without pauses to the same server, `echo_server`,
which answers 403 to a request whose signature has not the right form (the unsigned peer's server
does not look). The server has a core, the client another; clients take turns, round by round, and
medians are told. The peers: boto3 in Locust, as the workshop's users are; Locust's FastHttpUser,
which does not sign; and prepared bytes over bare gevent sockets, the ceiling of any Python client.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import lag
from benchmarks.load_process import BODY, NICENESS, echo, measure, self_signed
from windtunnel.lab.load.closed_schedule import closed_schedule

_USERS = 8
_LENGTH_S = 3.0
_ROUNDS = 5
_PEERS = Path(__file__).parent / "peers"
# As large as the U-Net's picture as JSON, and its answer.
_LARGE_BODY = b'{"instances": [' + b"0.123456, " * 100_000 + b"0]}"
_LARGE_ANSWER_BYTES = 800_000
# The row that the others' ratios are of.
_OURS = "`windtunnel load`, signed"


@dataclass(frozen=True)
class Speed:
    """What one client came to in one round."""

    rate_rps: float
    cpu_s: float


Client = Callable[[str, bytes], Speed]


def main() -> Iterator[str]:
    """Yield tables: small bodies, large ones, TLS, and how late an open loop sends."""
    with echo(checks_signatures=True) as url, echo() as unchecked_url:
        rows = _rounds(
            BODY,
            {
                "prepared bytes over bare gevent sockets, signed once": (_bare, url),
                _OURS: (_windtunnel, url),
                "Locust's FastHttpUser, unsigned": (_locust("locust_fast_http.py"), unchecked_url),
                "boto3 in Locust, signed": (_locust("locust_boto3.py"), url),
            },
        )
        yield from _table(f"{len(BODY)} bytes in and out", rows)
        yield ""
        with (
            echo(checks_signatures=True, answer_bytes=_LARGE_ANSWER_BYTES) as large_url,
            echo(answer_bytes=_LARGE_ANSWER_BYTES) as unchecked_large_url,
        ):
            large = _rounds(
                _LARGE_BODY,
                {
                    "prepared bytes over bare gevent sockets, signed once": (_bare, large_url),
                    _OURS: (_windtunnel, large_url),
                    "Locust's FastHttpUser, unsigned": (
                        _locust("locust_fast_http.py"),
                        unchecked_large_url,
                    ),
                    "boto3 in Locust, signed": (_locust("locust_boto3.py"), large_url),
                },
            )
        yield from _table("1 MB in, 0.8 MB out", large)
        yield ""
        with (
            self_signed() as certificate,
            echo(checks_signatures=True, certificate=certificate) as tls_url,
        ):
            tls = _rounds(BODY, {_OURS: (_windtunnel, tls_url)})
        yield from _table(f"{len(BODY)} bytes in and out, TLS", tls)
        yield ""
        yield from lag.table(url, round(_median(rows[_OURS]).rate_rps / 2, -2))


def _rounds(body: bytes, clients: dict[str, tuple[Client, str]]) -> dict[str, list[Speed]]:
    speeds: dict[str, list[Speed]] = {name: [] for name in clients}
    for _ in range(_ROUNDS):
        for name, (client, url) in clients.items():
            speeds[name].append(client(url, body))
    return speeds


def _median(speeds: list[Speed]) -> Speed:
    return Speed(median(each.rate_rps for each in speeds), median(each.cpu_s for each in speeds))


def _table(title: str, rows: dict[str, list[Speed]]) -> Iterator[str]:
    heads = f"requests/s, median of {_ROUNDS} | rounds | ours sends | CPU a request | times ours"
    yield f"| {title} | {heads} |"
    yield "|---|---|---|---|---|---|"
    ours = _median(rows[_OURS])
    for name, speeds in rows.items():
        middle = _median(speeds)
        rates = sorted(each.rate_rps for each in speeds)
        faster, cheaper = ours.rate_rps / middle.rate_rps, middle.cpu_s / ours.cpu_s
        yield (
            f"| {name} | {middle.rate_rps:,.0f} | {rates[0]:,.0f} to {rates[-1]:,.0f} | "
            f"{faster:.1f}x | {middle.cpu_s * 1e6:,.0f} µs | {cheaper:.1f}x |"
        )


def _windtunnel(url: str, body: bytes) -> Speed:
    schedule = closed_schedule(
        users=_USERS, spawn_rate_per_s=None, warmup_s=0, duration_s=_LENGTH_S
    )
    measured = measure(url, schedule, body=body)
    if measured.error.any():
        raise SystemExit(f"Requests failed: {', '.join(measured.error_kinds)}")
    (worker,) = measured.workers
    return Speed(worker.requests / worker.end_s, worker.cpu_share * worker.end_s / worker.requests)


def _bare(url: str, body: bytes) -> Speed:
    return _run([sys.executable, str(_PEERS / "bare_gevent.py"), url, str(_USERS)], body)


def _locust(file_name: str) -> Client:
    def run(url: str, body: bytes) -> Speed:
        words = [
            *(sys.executable, "-m", "locust", "-f", str(_PEERS / file_name), "--headless"),
            *("-H", url, "-u", str(_USERS), "-r", str(_USERS)),
        ]
        return _run(words, body)

    return run


def _run(words: list[str], body: bytes) -> Speed:
    """Run a peer at the priority that load processes take where they may; return what it says."""
    if os.geteuid() == 0:
        words = ["nice", "-n", str(NICENESS), *words]
    with tempfile.TemporaryDirectory() as directory:
        body_file = Path(directory) / "body"
        body_file.write_bytes(body)
        told = {
            "BODY_FILE": str(body_file),
            "LENGTH_S": str(_LENGTH_S),
            "PYTHONPATH": os.pathsep.join(
                [str(_PEERS.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            ),
        }
        done = subprocess.run(
            words,
            env={**os.environ, **told},
            check=False,
            capture_output=True,
            text=True,
            cwd=directory,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    rate_rps, cpu_s = json.loads(done.stdout.strip().splitlines()[0])
    return Speed(rate_rps, cpu_s)


if __name__ == "__main__":
    for line in main():
        print(line)
