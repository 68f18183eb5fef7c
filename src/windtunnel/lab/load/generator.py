"""A load process: `python -m windtunnel.lab.load.generator ROLE FD [PORT]`.

ROLE is `local` (head and only node in one), `master` (the head; tells the port it listens on) or
`worker` (a node; PORT is the master's). Its orders come as the first line through the descriptor
FD, new credentials as further lines; what it has to tell goes to stdout, one JSON object a line. It
is started anew, never forked: importing Locust patches the whole process.
"""

import gc
import json
import logging
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
from locust.env import Environment
from locust.runners import MasterRunner, Runner

from windtunnel.aws import sigv4
from windtunnel.core import supervision
from windtunnel.lab.load.drivers import ClosedUser, OpenUser
from windtunnel.lab.load.head import Head
from windtunnel.lab.load.node import Node
from windtunnel.lab.load.plan import ClosedSchedule, Orders

# Above the instances on the same machine, which run at 0: a generator that waits for a processor
# measures the wait. Needs to be root; -5 is a quarter of the way to the top.
_NICENESS = -5
_HOST = "127.0.0.1"


def main(arguments: list[str]) -> None:
    """Play one role until the run is over."""
    role, descriptor, *rest = arguments
    lifeline = supervision.join_parent()
    # Reading waits in its greenlet, not in the process.
    lines = iter(FileObjectPosix(int(descriptor), "r"))
    orders = Orders.from_text(next(lines))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    _raise_limits()
    if lifeline is not None:
        gevent.spawn(_end_with_parent, lifeline)
    is_closed = isinstance(orders.plan.schedule, ClosedSchedule)
    environment = Environment(
        user_classes=[ClosedUser if is_closed else OpenUser],
        # A worker without options looks for Locust's own config files; a master needs none.
        parsed_options=Namespace(web_base_path="") if role == "worker" else None,
        stop_timeout=0,
    )
    if role == "worker":
        _run_worker(environment, orders, lines, int(rest[0]))
    else:
        _run_head(environment, orders, lines, role)


def _run_worker(environment: Environment, orders: Orders, lines: Iterator[str], port: int) -> None:
    # Ctrl-C is the head's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runner = environment.create_worker_runner(_HOST, port)
    _add_node(orders, runner, lines)
    # Locust's `quit` message ends all of the runner's greenlets.
    runner.greenlet.join()


def _run_head(environment: Environment, orders: Orders, lines: Iterator[str], role: str) -> None:
    runner: Runner
    if role == "master":
        master = environment.create_master_runner(_HOST, 0)
        _tell({"event": "listening", "port": master.server.port})
        runner = master
    else:
        runner = environment.create_local_runner()
    head = Head(orders.plan, Path(orders.directory), runner, _tell)
    gevent.signal_handler(signal.SIGINT, head.interrupt)
    gevent.signal_handler(signal.SIGTERM, head.interrupt)
    if not isinstance(runner, MasterRunner):
        _add_node(orders, runner, lines)
    head.run()
    runner.quit()


def _add_node(orders: Orders, runner: Runner, lines: Iterator[str]) -> None:
    node = Node(orders, runner)
    ClosedUser.node = OpenUser.node = node
    gevent.spawn(_take_credentials, node, lines)
    # What is loaded by now stays: the collector need not look at it during the run.
    gc.collect()
    gc.freeze()
    node.announce()


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
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    assert locust.__version__, "imported first: it patches what the others use"
    main(sys.argv[1:])
