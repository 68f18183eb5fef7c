"""A load process: `python -m …load.generator ROLE FD [HOST PORT ENDPOINT [PATIENCE]]`.

ROLE is `local` (head and only node in one), `master` (the head; tells the port it listens on) or
`worker` (a node; HOST and PORT are its master's, which gives it its orders and may take PATIENCE
seconds to come; ENDPOINT is the one it means to send to, or nothing). What a head needs, or a
worker's credentials, come as the first line through the descriptor FD, new credentials as further
lines; what it has to tell goes to stdout, one JSON object a line. It is started anew, never forked:
importing Locust patches the whole process.
"""

import gc
import json
import logging
import math
import os
import resource
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import locust
from gevent.fileobject import FileObjectPosix
from gevent.socket import wait_read
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import MasterRunner, Runner

from windtunnel.aws import sigv4
from windtunnel.core import supervision
from windtunnel.lab.load import messages
from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.drivers import ClosedUser, OpenUser
from windtunnel.lab.load.head import Head
from windtunnel.lab.load.node import Node, introduction
from windtunnel.lab.load.plan import Orders, Plan, read_bodies
from windtunnel.lab.load.recruit import Recruit
from windtunnel.lab.loopback import is_loopback

# Above the instances on the same machine, which run at 0: a generator that waits for a processor
# measures the wait. Needs to be root; -5 is a quarter of the way to the top.
_NICENESS = -5
# As long as Locust's master waits after it said goodbye.
_GOODBYE_S = 0.5
# Locust's tries call each other, and Python lets a thousand calls do that. Of fewer each takes
# longer, which costs nothing: a greeting that was sent is delivered as soon as a master comes.
_CONNECT_TRIES_MAX = 60


def main(arguments: list[str]) -> int:
    """Play one role until the run is over; return the exit status."""
    role, descriptor, *rest = arguments
    lifeline = supervision.join_parent()
    # Reading waits in its greenlet, not in the process.
    lines = iter(FileObjectPosix(int(descriptor), "r"))
    first = next(lines)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # Whatever else is printed, by the shape of a user say, is no event.
    sys.stdout = sys.stderr
    _raise_limits()
    if lifeline is not None:
        gevent.spawn(_end_with_parent, lifeline)
    environment = Environment(
        user_classes=[ClosedUser, OpenUser],
        # A worker without options looks for Locust's own config files; a master needs none.
        parsed_options=Namespace(web_base_path="") if role == "worker" else None,
    )
    if role == "worker":
        return _run_worker(environment, first, lines, rest)
    _run_head(environment, Orders.from_text(first), lines, role)
    return 0


def _run_worker(
    environment: Environment, first: str, lines: Iterator[str], words: list[str]
) -> int:
    # Locust's own patience will do for a master on this machine.
    host, port, endpoint_name, *patience = words
    # Ctrl-C is the head's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    credentials = sigv4.Credentials(**json.loads(first))
    if patience:
        _be_patient(float(patience[0]))
    try:
        runner = environment.create_worker_runner(host, int(port))
    except ConnectionError:
        _tell({"event": "alone"})
        return 1
    nodes: list[Node] = []
    refusals: list[str] = []

    def accept(plan: Plan, bodies: list[bytes]) -> None:
        why = _unreachable(plan.url, host)
        if endpoint_name and endpoint_name != plan.endpoint_name:
            why = f"the master sends to endpoint {plan.endpoint_name}, not to {endpoint_name}"
        if why is not None:
            runner.send_message(messages.DECLINED, {"why": why, **introduction()})
            refuse(why)
            return
        _tell({"event": "enlisted", "endpoint": plan.endpoint_name, "url": plan.url})
        nodes.append(_add_node(plan, bodies, credentials, runner, lines))

    def refuse(why: str) -> None:
        refusals.append(why)
        _tell({"event": "refused", "why": why})
        # What was just sent must get away: a socket is not waited for.
        gevent.spawn_later(_GOODBYE_S, runner.quit)

    Recruit(runner, accept, refuse).enlist()
    # Locust's `quit` message ends all of the runner's greenlets.
    runner.greenlet.join()
    if nodes and nodes[0].is_finished:
        _tell({"event": "done", "requests": nodes[0].samples.count})
        return 0
    if nodes and nodes[0].is_orphaned:
        _tell({"event": "orphaned"})
    elif not refusals:
        _tell({"event": "dismissed"})
    return 1


def _be_patient(patience_s: float) -> None:
    """Have Locust try for so long to reach its master; it has no other door for that."""
    tries = max(1, min(_CONNECT_TRIES_MAX, math.ceil(patience_s / runners.CONNECT_TIMEOUT)))
    runners.CONNECT_TIMEOUT = patience_s / tries  # type: ignore[assignment]
    # The first one is none to Locust.
    runners.CONNECT_RETRY_COUNT = tries - 1


def _unreachable(url: str, master_host: str) -> str | None:
    """Return why this host cannot send to where the master means to, if that is plain."""
    if is_loopback(url) and not is_loopback(f"http://{master_host}"):
        return (
            f"the endpoint is at {url}, which is here another machine than at the master: let the "
            "master name an address that both can reach (--endpoint-url, or `up --host`)"
        )
    return None


def _run_head(environment: Environment, orders: Orders, lines: Iterator[str], role: str) -> None:
    runner: Runner
    try:
        bodies = read_bodies(Path(orders.directory), orders.plan.payloads)
        if role == "master":
            listening = orders.listening
            master = environment.create_master_runner(listening.host, listening.port)
            _tell({"event": "listening", "port": master.server.port})
            runner = master
        else:
            runner = environment.create_local_runner()
        head = Head(orders, bodies, runner, _tell)
    except (OSError, RPCError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        _tell({"event": "failed", "why": f"The run cannot begin: {why}."})
        return
    gevent.signal_handler(signal.SIGINT, head.interrupt)
    gevent.signal_handler(signal.SIGTERM, head.interrupt)
    if not isinstance(runner, MasterRunner):
        _add_node(orders.plan, bodies, orders.credentials, runner, lines)
    head.run()
    runner.quit()


def _add_node(
    plan: Plan,
    bodies: list[bytes],
    credentials: sigv4.Credentials,
    runner: Runner,
    lines: Iterator[str],
) -> Node:
    is_closed = isinstance(plan.schedule, ClosedSchedule)
    user_class = ClosedUser if is_closed else OpenUser
    node = Node(plan, bodies, credentials, runner, user_class.__name__)
    ClosedUser.node = OpenUser.node = node
    gevent.spawn(_take_credentials, node, lines)
    # What is loaded by now stays: the collector need not look at it during the run.
    gc.collect()
    gc.freeze()
    node.announce()
    return node


def _take_credentials(node: Node, lines: Iterator[str]) -> None:
    """Hand new credentials to the node as they come, until none can come any more."""
    for line in lines:
        node.take_credentials(sigv4.Credentials(**json.loads(line)))


def _raise_limits() -> None:
    """Take a higher priority and as many descriptors as this process may have."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_with_parent(lifeline: int) -> None:
    """End this process when whatever started it is gone."""
    wait_read(lifeline)
    os._exit(1)


def _tell(event: dict[str, Any]) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(event) + "\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    assert locust.__version__, "imported first: it patches what the others use"
    sys.exit(main(sys.argv[1:]))
