"""Whether the open loop tells the truth: latencies beside the exact ones, and how late it sends.

The server is one queue with one hand: 20 ms a request, and once a second of standstill. When every
request should have been answered follows from when it was due, on paper. Beside it stands Locust's
FastHttpUser, a closed loop told to keep the same rate (`constant_throughput`). The second table is
how late requests left at 5,000 a second, and how late a loop wakes that has nothing else to do.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import lag
from benchmarks.load_process import BODY, at_rate, echo, measure
from windtunnel.lab.load import arrivals
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.summary import percentile

_SERVICE_S = 0.02
_STALL_S = 1.0
# The request that finds the server standing still.
_STALLED = 600
_RATE_RPS = 40.0
_LENGTH_S = 30.0
_SHARES = (0.5, 0.99, 0.999)
_LAG_RATE_RPS = 5000.0
_QUEUE = """
import asyncio, sys, time
service_s, stall_s, stalled = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
class Queue(asyncio.Protocol):
    free_s, count = 0.0, 0
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        if not data.endswith(b"]}"):
            return
        loop = asyncio.get_running_loop()
        stall = stall_s if Queue.count == stalled else 0.0
        Queue.count += 1
        Queue.free_s = max(Queue.free_s, loop.time()) + stall + service_s
        # Timers are a millisecond coarse: wake early, and wait out the rest.
        loop.call_at(Queue.free_s - 0.002, self.answer, Queue.free_s)
    def answer(self, at_s):
        while asyncio.get_running_loop().time() < at_s:
            pass
        self.transport.write(ANSWER)
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
async def main():
    server = await asyncio.get_running_loop().create_server(Queue, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
_LOCUST = """
import json
from locust import FastHttpUser, constant_throughput, events, task
class Caller(FastHttpUser):
    wait_time = constant_throughput({rate} / {users})
    @task
    def predict(self):
        self.client.post("/endpoints/unet/invocations", data={body!r})
@events.test_stop.add_listener
def stop(environment, **_):
    total = environment.stats.total
    print(json.dumps([total.get_response_time_percentile(share) / 1000 for share in {shares}]))
"""


def main() -> Iterator[str]:
    """Yield two Markdown tables."""
    yield from _truth()
    yield ""
    with echo() as url:
        yield from lag.table(url, _LAG_RATE_RPS)


def _truth() -> Iterator[str]:
    schedule = at_rate(_RATE_RPS, warmup_s=0.0, length_s=_LENGTH_S, spacing="poisson")
    exact = _exact(schedule)
    with _queue() as url:
        measured = measure(url, schedule)
    open_loop = [percentile(measured.done_s - measured.due_s, share) for share in _SHARES]
    with _queue() as url:
        closed_loop = _locust(url)
    yield f"| {_RATE_RPS:.0f} requests/s, {_LENGTH_S:.0f} s, one stall of 1 s | p50 | p99 | p99.9 |"
    yield "|---|---|---|---|"
    yield _row("exact, from the schedule", exact, exact)
    yield _row("`windtunnel load --rate 40 --arrivals poisson`", open_loop, exact)
    yield _row("Locust, 10 users, `constant_throughput(4)`", closed_loop, exact)


def _row(name: str, found: list[float], exact: list[float]) -> str:
    cells = [
        f"{value * 1000:,.1f} ms" + (f" ({value / true - 1:+.1%})" if found is not exact else "")
        for value, true in zip(found, exact, strict=True)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _exact(schedule: OpenSchedule) -> list[float]:
    """Return the latencies of the queue on paper."""
    free_s, latencies_s = 0.0, []
    due = arrivals.share(schedule.read_arrivals(), 0, 1)
    for number, due_s in enumerate(due):
        stall_s = _STALL_S if number == _STALLED else 0.0
        free_s = max(free_s, due_s) + stall_s + _SERVICE_S
        latencies_s.append(free_s - due_s)
    return [percentile(np.array(latencies_s), share) for share in _SHARES]


def _locust(url: str) -> list[float]:
    users = 10
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "locustfile.py"
        words = {"rate": _RATE_RPS, "users": users, "body": BODY.decode(), "shares": _SHARES}
        file.write_text(_LOCUST.format(**words))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(file), "--headless", "-H", url),
                *("-u", str(users), "-r", str(users), "-t", f"{_LENGTH_S:.0f}s"),
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd=directory,
        )
    found: list[float] = json.loads(done.stdout.strip().splitlines()[0])
    return found


@contextmanager
def _queue() -> Iterator[str]:
    """Run the server; yield its address."""
    words = [sys.executable, "-c", _QUEUE, str(_SERVICE_S), str(_STALL_S), str(_STALLED)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    for line in main():
        print(line)
