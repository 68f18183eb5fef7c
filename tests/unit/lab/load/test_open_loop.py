"""The open loop with real load processes, against a server whose every answer is known."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.lab import plans

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.lab import summary as summaries
from windtunnel.lab.load import arrivals
from windtunnel.lab.load.conductor import Conductor
from windtunnel.lab.load.open_schedule import OpenSchedule, open_schedule
from windtunnel.lab.load.plan import Plan
from windtunnel.lab.measurement import Measurement

# Starting a load process takes a second or two: Locust is imported anew.
pytestmark = pytest.mark.slow

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Server:
    """Answers each request a known time after it came, and writes down when that was."""

    url: str = ""
    # From a request's number and the moment at which it came to the moment of its answer.
    answer_at_s: Callable[[int, float], float] = lambda _number, came_s: came_s
    came_s: list[float] = field(default_factory=list)
    answered_s: dict[int, float] = field(default_factory=dict)
    connections: int = 0
    # Closes the connection after each answer.
    is_closing: bool = False


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith(b"BODY"):
            return
        self.buffer = b""
        server, now_s = self.server, time.time()
        number = len(server.came_s)
        server.came_s.append(now_s)
        wait_s = server.answer_at_s(number, now_s) - now_s
        asyncio.get_running_loop().call_later(wait_s, self.answer, number)

    def answer(self, number: int) -> None:
        self.server.answered_s[number] = time.time()
        self.transport.write(_ANSWER)
        if self.server.is_closing:
            self.transport.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server of the test's own, in a thread."""
    made = Server()
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(
        loop.create_server(lambda: _Connection(made), "127.0.0.1", 0, backlog=512)
    )
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listening.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


class _Keys:
    def credentials_expire_within(self, span_s: float) -> bool:
        return False

    def signing_credentials(self) -> sigv4.Credentials:
        return sigv4.Credentials("AKIDEXAMPLE", "secret")


def _schedule(**words: Any) -> OpenSchedule:
    asked: dict[str, Any] = {
        "rate_per_s": None,
        "stages": None,
        "trace": None,
        "arrivals": "constant",
        "seed": 0,
        "warmup_s": 0.0,
        "duration_s": None,
        "processes": 1,
    }
    return open_schedule(**{**asked, **words})


def _plan(server: Server, schedule: OpenSchedule, processes: int = 1) -> Plan:
    return plans.plan(schedule, url=server.url, processes=processes)


def _run(plan: Plan) -> tuple[Measurement, dict[str, Any]]:
    measurement = Conductor(plan, [b"BODY"], _Keys()).run()
    assert isinstance(plan.schedule, OpenSchedule)
    summary = summaries.summarise(
        plan,
        measurement,
        hardware={},
        other_work_share=0.0,
        wanted=[],
        arrivals=plan.schedule.read_arrivals(),
    )
    return measurement, summary


def _due(schedule: OpenSchedule) -> list[float]:
    return list(arrivals.share(schedule.read_arrivals(), 0, 1))


def test_latencies_are_those_that_the_schedule_and_the_server_make_of_a_stall(
    server: Server, tmp_path: Path
) -> None:
    """A second of standstill befalls all who come in it; a closed loop would see one of them."""
    stalled_s: list[float] = []

    def answer_at_s(number: int, came_s: float) -> float:
        if number == 75:
            stalled_s.append(came_s)
        if stalled_s and came_s < stalled_s[0] + 1:
            return stalled_s[0] + 1 + 0.2
        return came_s + 0.2

    server.answer_at_s = answer_at_s
    schedule = _schedule(rate_per_s=50, duration_s=5)

    measurement, summary = _run(_plan(server, schedule))

    due_s = measurement.started_epoch_s + np.array(_due(schedule))
    answered_s = np.array([server.answered_s[number] for number in range(len(due_s))])
    exact_s = answered_s - due_s
    assert len(measurement) == len(server.came_s) == 250
    assert summary["arrivals"]["dropped"] == 0
    # Where others keep the machine busy, the generator says itself how late it wakes.
    late_s = summary["generator"]["loop_lag_s_p99"]
    for share in (0.5, 0.99, 0.999):
        exact = summaries.percentile(exact_s, share)
        name = f"p{share * 100:g}"
        assert summary["latency_s"][name] == pytest.approx(exact, abs=0.02 * exact + late_s)
    assert summary["latency_s"]["p99"] > 1.0


@pytest.mark.parametrize("spacing", ["constant", "poisson"])
def test_processes_send_every_arrival_once(server: Server, tmp_path: Path, spacing: str) -> None:
    """The schedule is the oracle for what is kept, and the server for what was sent."""
    schedule = _schedule(
        stages="1s:150,1s:50", arrivals=spacing, seed=7, processes=3, rate_per_s=50
    )

    measurement, summary = _run(_plan(server, schedule, processes=3))

    assert measurement.due_s.tolist() == pytest.approx(_due(schedule), abs=1e-8)
    assert measurement.worker[:6].tolist() == [0, 1, 2, 0, 1, 2]
    assert len(server.came_s) == len(measurement)
    assert summary["arrivals"]["due"] == len(measurement)
    assert not any("arrival" in reason for reason in summary["reasons"])


def test_arrivals_that_find_no_connection_are_dropped_and_void_the_run(
    server: Server, tmp_path: Path
) -> None:
    """Held back, they would make a closed loop; left out unsaid, a lie."""
    server.answer_at_s = lambda _number, came_s: came_s + 0.5
    schedule = dataclasses.replace(_schedule(rate_per_s=100, duration_s=1.0), connections_max=4)

    measurement, summary = _run(_plan(server, schedule))

    dropped = summary["arrivals"]["dropped"]
    assert dropped > 0
    # Each is kept, too: as what was due and never sent.
    assert len(measurement) == 100
    assert int(measurement.was_sent.sum()) == len(server.came_s) == 100 - dropped
    assert summary["arrivals"]["connections"] == server.connections == 4
    assert not summary["valid"]
    assert any(f"{dropped} arrivals were dropped" in reason for reason in summary["reasons"])


def test_connections_are_opened_as_they_are_needed_and_kept(server: Server, tmp_path: Path) -> None:
    """Opening one a request measures handshakes; opening all of them floods a small server."""
    server.answer_at_s = lambda _number, came_s: came_s + 0.1
    schedule = _schedule(rate_per_s=100, duration_s=1.0)

    measurement, summary = _run(_plan(server, schedule))

    assert len(measurement) == 100
    assert summary["arrivals"]["connections"] == server.connections < 50


def test_a_connection_that_the_server_closed_while_it_was_idle_is_no_error(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers end idle connections after seconds; who comes later must not pay for it."""
    server.is_closing = True
    schedule = _schedule(rate_per_s=0.8, duration_s=2.0)
    assert 1 / schedule.rate_per_s > limits.LOAD_IDLE_TRUSTED_S

    measurement, summary = _run(_plan(server, schedule))

    assert len(measurement) == server.connections == 2
    assert summary["failures"] == 0
