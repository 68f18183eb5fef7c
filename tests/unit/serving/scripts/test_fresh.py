"""A worker's plan survives its way into another interpreter."""

import socket
from dataclasses import replace
from pathlib import Path

from windtunnel.serving.meters import MeterPlan
from windtunnel.serving.scripts.archive import Script
from windtunnel.serving.scripts.fresh import parse_plan, render_plan
from windtunnel.serving.scripts.worker import WorkerPlan
from windtunnel.serving.settings import WorkerSettings


def test_a_plan_reads_back_as_it_was() -> None:
    """A worker with modules of its own serves what a fork would have served."""
    with socket.socket() as bound:
        plan = WorkerPlan(
            settings=WorkerSettings(2, "gthread", 4, 30.0, 60.0, "info"),
            script=Script(has_inference=True, has_requirements=False, has_library=True),
            directory=Path("/models/one"),
            packages=None,
            model_dir=Path("/models/two"),
            work_dir=Path("/run/one"),
            default_model="unet",
            model_name="one of many",
            grpc_ports=[9000],
            rest_ports=[9001],
            listen=bound,
            logs_requests=False,
            meters=MeterPlan("/run/one/meters", ["unet"], ["model_server", "script_worker"], 1),
        )
        # The same descriptor, as in the process that takes over.
        parsed = parse_plan(render_plan(plan))
        assert parsed.listen.detach() == bound.fileno()

    assert replace(parsed, listen=bound) == plan
