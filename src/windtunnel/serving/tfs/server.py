"""The process that keeps one `tensorflow_model_server`: starts it, says when it is available.

A role of the container's leader like our own model servers, and the binary's parent: what the
binary started ends with it, and it ends with this process, however that goes (`core/keeper.py`).
"""

import json
import logging
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windtunnel.core import limits
from windtunnel.core.keeper import Keeper
from windtunnel.core.lifeline import adopt_orphans
from windtunnel.serving.children import Reports
from windtunnel.serving.meters import MeterPlan

logger = logging.getLogger(__name__)

_AVAILABLE = "AVAILABLE"


@dataclass(frozen=True, slots=True)
class TfsPlan:
    """One server: its command, and how it is told that it serves."""

    words: Sequence[str]
    environment: Mapping[str, str]
    # http://HOST:PORT/v1/models/NAME of each model.
    statuses: Sequence[str]
    meters: MeterPlan


def run_tfs(plan: TfsPlan, reports: Reports, lifeline: int) -> int:
    """Run the command until it ends or SIGTERM; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    plan.meters.open()
    # A container's stdout says that it is ready, and nothing else.
    os.dup2(2, 1)
    os.environ.update(plan.environment)
    # SIGTERM is passed on to the group, which must be this one's own.
    os.setpgid(0, 0)
    adopt_orphans()
    # The original's own line, which people look for.
    logger.info("tensorflow serving command: %s", " ".join(plan.words))
    watch = threading.Thread(target=_tell_available, args=(plan, reports), daemon=True)
    # Not before: this process forks once more, and must not have threads then.
    return Keeper(lifeline, on_start=watch.start).run(plan.words)


def _tell_available(plan: TfsPlan, reports: Reports) -> None:
    # Whoever waits for this has a deadline, and ends this process when it is over.
    while not all(map(is_available, plan.statuses)):
        time.sleep(limits.TFS_POLL_INTERVAL_S)
    reports.send("available")


def is_available(url: str) -> bool:
    """Say whether every version of a model is served."""
    # No proxy stands between a container's own processes.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=limits.PING_TIMEOUT_S) as answer:
            states = json.load(answer)["model_version_status"]
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return False
    return bool(states) and all(state["state"] == _AVAILABLE for state in states)
