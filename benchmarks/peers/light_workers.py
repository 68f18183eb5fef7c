"""Workers of a load run that send nothing: they tell their master what workers would tell it.

`light_workers.py HOST PORT COUNT RATE` joins a master with so many of Locust's own worker runners
in one process. Each hands over RATE made-up requests a second in ten parts, and once a second tells
what it saw, as `windtunnel.lab.load.node` does, until the master's plan is over.
"""

import json
import sys
import time
from argparse import Namespace
from typing import Any

import gevent
import numpy as np
from locust.env import Environment

from windtunnel import __version__
from windtunnel.lab.load import messages
from windtunnel.lab.load.histogram import Histogram
from windtunnel.lab.load.node import introduction
from windtunnel.lab.load.plan import Plan
from windtunnel.lab.load.samples import COLUMNS, DTYPES

_PARTS = 10


class LightWorker:
    """One worker."""

    def __init__(self, host: str, port: int, rate: int) -> None:
        environment = Environment(parsed_options=Namespace(web_base_path=""))
        self._runner = environment.create_worker_runner(host, port)
        self._length_s = 0.0
        latency_s = np.random.default_rng(0).lognormal(-4.0, 0.5, rate)
        rows = rate // _PARTS
        columns = {name: np.zeros(rows, DTYPES[code]) for name, code in COLUMNS}
        columns["done_s"] += latency_s[:rows]
        columns["status"] += 200
        self._samples = {"kinds": [], **{name: each.tobytes() for name, each in columns.items()}}
        self._rate = rate
        self._latency, self._lag = Histogram(), Histogram()
        self._latency.add(latency_s)
        self._lag.add(latency_s / 1000)
        for message, listener in (
            (messages.ORDERS, self._take_plan),
            (messages.PING, self._answer),
            (messages.BEGIN, self._begin),
        ):
            self._runner.register_message(message, listener)
        self._runner.send_message(messages.HELLO, {"version": __version__, **introduction()})

    def wait(self) -> None:
        """Wait for the master to end the run."""
        self._runner.greenlet.join()

    def _take_plan(self, *, msg: Any, **_: object) -> None:
        self._length_s = Plan.from_json(json.loads(msg.data["plan"])).schedule.total_s
        # It sends nothing, so it needs no payload.
        self._runner.send_message(messages.READY, introduction())

    def _answer(self, *, msg: Any, **_: object) -> None:
        self._runner.send_message(messages.PONG, {**msg.data, "epoch_s": time.time()})

    def _begin(self, *, msg: Any, **_: object) -> None:
        gevent.spawn(self._work, msg.data["start_epoch_s"])

    def _work(self, start_epoch_s: float) -> None:
        tell, part = self._runner.send_message, 0
        while (at_s := time.time() - start_epoch_s) < self._length_s:
            tell(messages.SAMPLES, self._samples)
            part += 1
            if part % _PARTS == 0:
                tell(messages.TICK, self._second(at_s))
            gevent.sleep(max(0.0, start_epoch_s + part / _PARTS - time.time()))
        outcome = {
            "requests": part * self._rate // _PARTS,
            "end_s": self._length_s,
            "users_peak": 1,
            "unanswered": 0,
            "is_full": False,
            "cpu_share": 0.0,
            "loop_lag_s_p99": 0.0,
        }
        tell(messages.FINISHED, outcome)

    def _second(self, at_s: float) -> dict[str, Any]:
        return {
            "at_s": at_s,
            "users": 1,
            "dropped": 0,
            "requests": self._rate,
            "failures": 0,
            "server_errors": 0,
            "latency": self._latency.to_json(),
            "lag": self._lag.to_json(),
            "errors": {},
        }


def main() -> None:
    """Join, work, and end with the master."""
    host, port, count, rate = sys.argv[1], *map(int, sys.argv[2:])
    for worker in [LightWorker(host, port, rate) for _ in range(count)]:
        worker.wait()


if __name__ == "__main__":
    main()
