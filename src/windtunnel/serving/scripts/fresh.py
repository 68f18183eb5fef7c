"""A script worker with an import of its own, instead of a fork that has everything imported.

A script may bring another version of what this process has loaded already: numpy, say, or
requests. A fork would go on with the loaded one, whatever lies first on its path. So such a worker
is a new interpreter; it starts slower and shares no memory, and gets what its archive asked for.
"""

import argparse
import dataclasses
import json
import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from windtunnel.serving.children import Reports
from windtunnel.serving.meters import MeterPlan
from windtunnel.serving.scripts.archive import Script
from windtunnel.serving.scripts.worker import WorkerPlan, run_worker
from windtunnel.serving.settings import WorkerSettings

_PATHS = ("directory", "packages", "model_dir", "work_dir")


def run_fresh_worker(plan: WorkerPlan, reports: Reports, lifeline: int) -> int:
    """Replace this process by one that runs the plan."""
    for descriptor in (reports.descriptor, lifeline, plan.listen.fileno()):
        os.set_inheritable(descriptor, True)
    options = (
        f"--plan={render_plan(plan)}",
        f"--reports-fd={reports.descriptor}",
        f"--lifeline-fd={lifeline}",
    )
    program = [sys.executable, "-I", "-m", "windtunnel.serving.scripts.fresh", *options]
    os.execv(sys.executable, program)  # noqa: S606 - a list of ours, without a shell


def render_plan(plan: WorkerPlan) -> str:
    """Return a plan as text; a socket is its descriptor."""
    # Not asdict: it would copy the socket.
    fields = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    fields["settings"] = dataclasses.asdict(plan.settings)
    fields["script"] = dataclasses.asdict(plan.script)
    fields["meters"] = dataclasses.asdict(plan.meters)
    for name in _PATHS:
        fields[name] = None if fields[name] is None else str(fields[name])
    fields["listen"] = plan.listen.fileno()
    return json.dumps(fields)


def parse_plan(text: str) -> WorkerPlan:
    """Return the plan that a text spells."""
    fields = json.loads(text)
    fields["settings"] = WorkerSettings(**fields["settings"])
    fields["script"] = Script(**fields["script"])
    fields["meters"] = MeterPlan(**fields["meters"])
    for name in _PATHS:
        fields[name] = None if fields[name] is None else Path(fields[name])
    fields["listen"] = socket.socket(fileno=fields["listen"])
    return WorkerPlan(**fields)


def main(arguments: Iterable[str]) -> int:
    """Run the worker that the options describe."""
    parser = argparse.ArgumentParser(prog="windtunnel.serving.scripts.fresh")
    parser.add_argument("--plan", type=parse_plan)
    parser.add_argument("--reports-fd", type=int)
    parser.add_argument("--lifeline-fd", type=int)
    options = parser.parse_args(list(arguments))
    plan: WorkerPlan = options.plan
    # What the script starts has no use for them.
    for descriptor in (options.reports_fd, options.lifeline_fd, plan.listen.fileno()):
        os.set_inheritable(descriptor, False)
    return run_worker(plan, Reports(options.reports_fd), options.lifeline_fd)


if __name__ == "__main__":
    # As a fork ends: what a script has left running does not keep this from ending.
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
