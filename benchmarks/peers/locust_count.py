"""What a locustfile of the benchmarks counts: its requests, and the processor it took for them.

Counting begins a second after the last user started, so that neither users nor clients are still
being made. Prints one JSON line: requests a second, and CPU seconds a request.
"""

import json
import os
import time

import gevent
from locust import events
from locust.env import Environment

_SETTLING_S = 1.0


def _listen(environment: Environment, **_: object) -> None:
    def begin(**_: object) -> None:
        gevent.spawn(_count, environment)

    environment.events.spawning_complete.add_listener(begin)  # type: ignore[no-untyped-call]


def _count(environment: Environment) -> None:
    gevent.sleep(_SETTLING_S)
    total = environment.stats.total
    count, at_s, cpu_s = total.num_requests, time.perf_counter(), time.process_time()
    gevent.sleep(float(os.environ["LENGTH_S"]))
    count = total.num_requests - count
    length_s, cpu_s = time.perf_counter() - at_s, time.process_time() - cpu_s
    if total.num_failures:
        raise SystemExit(f"{total.num_failures} of the requests failed")
    print(json.dumps([count / length_s, cpu_s / count]), flush=True)
    assert environment.runner is not None
    environment.runner.quit()


events.init.add_listener(_listen)  # type: ignore[no-untyped-call]
