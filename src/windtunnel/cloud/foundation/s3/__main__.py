"""The S3 process: `python -m windtunnel.cloud.foundation.s3 --root DIR --socket PATH`.

It ends when it is told to (SIGTERM: answers in flight leave first) and when its parent is gone.
Whoever starts it waits until the socket takes connections: then the store is open and swept.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from windtunnel.cloud.foundation.s3.service import Service
from windtunnel.cloud.foundation.s3.storage import Storage, StoreInUseError
from windtunnel.core import limits
from windtunnel.core.clock import SystemClock
from windtunnel.core.supervision import join_parent
from windtunnel.http.server import serve

log = logging.getLogger(__name__)


async def _serve(storage: Storage, socket: Path, lifeline: int | None) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if lifeline is not None:
        # Nothing is ever written to it: readable means that its other end was closed.
        loop.add_reader(lifeline, ending.set)
    service = Service(storage)
    server = await serve(service, path=str(socket))
    await ending.wait()
    await server.drain(limits.S3_DRAIN_GRACE_S)
    await service.close()


def _yield_to_what_serves() -> None:
    """Take few of the machine's cores, and those only when nobody else wants them.

    It hashes gigabytes. Kernels that preempt lazily let it finish its slice however low its
    priority is: on two cores an upload on both moved another process's p99 from 1 to 23 ms, on one
    of them to 5.
    """
    os.nice(limits.S3_NICENESS)
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[-max(1, len(cores) // limits.S3_CORES_SHARE) :])


def main() -> int:
    """Serve until told to end; return the exit status."""
    lifeline = join_parent()
    parser = argparse.ArgumentParser(prog="windtunnel.cloud.foundation.s3")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="s3: %(levelname)s %(message)s")
    _yield_to_what_serves()
    # The store and its socket are their owner's alone, whatever the umask was.
    os.umask(0o077)
    try:
        storage = Storage(options.root, SystemClock())
    except StoreInUseError as error:
        log.error("%s", error)  # noqa: TRY400 - the sentence says it all
        return 1
    try:
        # One that was killed left its socket behind; nobody else has this store now.
        options.socket.unlink(missing_ok=True)
        uvloop.run(_serve(storage, options.socket, lifeline))
        options.socket.unlink(missing_ok=True)
    finally:
        storage.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
