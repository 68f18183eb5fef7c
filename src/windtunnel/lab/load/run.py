"""One load run from first to last: what will be sent, the sending, and the directory it leaves."""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.request import getproxies_environment

from windtunnel import __version__
from windtunnel.core.errors import UsageError
from windtunnel.core.lease import measuring
from windtunnel.lab import baseline as baselines
from windtunnel.lab import cost, hardware, scaling, steadiness
from windtunnel.lab import endpoint as endpoints
from windtunnel.lab.endpoint import Endpoint
from windtunnel.lab.load.arrivals import Arrivals
from windtunnel.lab.load.conductor import Conductor, Tick
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.load.outlets import Outlets
from windtunnel.lab.load.plan import Listening, PayloadFacts, Plan, Schedule
from windtunnel.lab.loopback import is_loopback
from windtunnel.lab.measurement import Measurement
from windtunnel.lab.objectives import Objective
from windtunnel.lab.payload import Payload
from windtunnel.lab.report import page
from windtunnel.lab.run_cost import RunCost
from windtunnel.lab.run_directory import Run, RunDirectory
from windtunnel.lab.scaling_watch import ScalingWatch
from windtunnel.lab.summary import summarise
from windtunnel.lab.surroundings import Surroundings
from windtunnel.lab.target import Target

# What the numbers hang on besides our own code.
_VERSIONS_OF = ("locust", "gevent", "boto3", "numpy", "pyarrow")


@dataclass(frozen=True)
class LoadRun:
    """A run that is ready to be carried out."""

    plan: Plan
    target: Target
    endpoint: Endpoint
    objectives: tuple[Objective, ...]
    directory: RunDirectory
    # Of an open loop.
    arrivals: Arrivals | None
    # Of the plan's payloads.
    bodies: tuple[bytes, ...]
    # The run that this one is held to.
    baseline: Run | None = None
    # Where workers of other hosts are waited for.
    listening: Listening | None = None
    # Where else it can be looked at.
    outlets: Outlets = field(default_factory=Outlets)

    def execute(
        self,
        *,
        on_tick: Callable[[Tick], None],
        on_wait: Callable[[str], None],
        command: Sequence[str],
        watch: Callable[[Tick], str | None] = lambda _tick: None,
        on_joined: Callable[[str], None] = lambda _text: None,
        has_page: bool = True,
    ) -> dict[str, Any]:
        """Send everything, write the run's directory, and return its summary.

        On a local cloud it waits until nobody else measures there; `on_wait` is told who does.
        `on_joined` is told of each worker that comes from another host. `has_page` says whether
        the directory gets its report, too: 4 MB, of which some are enough in a search.
        `watch` may end the run early by saying why.
        """
        home = self.target.home
        what = f"load on endpoint {self.plan.endpoint_name}"
        with measuring(home, what, on_wait) if home else nullcontext():
            conductor = Conductor(
                self.plan,
                self.bodies,
                self.target,
                on_tick,
                watch,
                on_joined=on_joined,
                listening=self.listening,
                directory=self.directory.path,
                outlets=self.outlets,
            )
            return self._execute(conductor, command, has_page=has_page)

    def _execute(
        self, conductor: Conductor, command: Sequence[str], *, has_page: bool
    ) -> dict[str, Any]:
        facts = hardware.describe()
        around = Surroundings(self._own_pids())
        with ScalingWatch(self.target, self.endpoint) as scaling_watch:
            measurement = conductor.run()
        # A server on this machine that is not the home's cannot be told from other work.
        is_known = self._is_local or not is_loopback(self.plan.url)
        other_work_share = around.other_share() if is_known else 0.0
        summary = summarise(
            self.plan,
            measurement,
            hardware=_hardware(
                self.target, self.endpoint, facts, is_away=self.listening is not None
            ),
            other_work_share=other_work_share,
            wanted=self.objectives,
            arrivals=self.arrivals,
        )
        summary["warnings"] += conductor.warnings
        summary["warnings"] += steadiness.warnings(self.target, self.endpoint)
        scaled = scaling_watch.told(measurement.started_epoch_s)
        summary["warnings"] += scaled.problems if scaled else ()
        self.directory.write(self._asked(measurement, command), summary, measurement, scaled)
        written = self.directory.read()
        if self.baseline is not None:
            summary["baseline"] = baselines.hold(self.baseline, written)
            self.directory.write_summary(summary)
            written = replace(written, summary=summary)
        if has_page:
            self._write_page(written, summary)
        return summary

    def _write_page(self, written: Run, summary: dict[str, Any]) -> None:
        try:
            page.write([written], self.directory.report)
        except UsageError as error:
            # The run is kept, and its page can still be made when the disk has room for it.
            self.directory.report.unlink(missing_ok=True)
            summary["warnings"].append(
                f"{error} `windtunnel report {self.directory.path}` makes it when it can be."
            )

    def cost(self, load_s: float | None = None) -> RunCost | None:
        """Return what the run is likely to cost; nothing does on a local cloud.

        Several runs of a kind send for `load_s` together.
        """
        if self._is_local:
            return None
        return RunCost(
            tuple(
                cost.of_instances(self.target, variant.instance_type, variant.instance_count)
                for variant in self.endpoint.variants
            ),
            self.plan.schedule.total_s if load_s is None else load_s,
        )

    def notes(self) -> list[str]:
        """Return what to know of a load run before it starts, but for its cost."""
        found = scaling.notes(self.target, self.endpoint)
        if (warp := self.target.warp) != 1:
            found.append(f"clock x{warp:g}: a minute of alarms lasts {60 / warp:g} s here")
        if self._is_local:
            return found
        has_token = self.target.signing_credentials().session_token is not None
        if has_token and not self.target.renews_credentials:
            found.append(
                "these credentials are temporary and come from where nothing renews them: requests "
                "fail once they expire"
            )
        if getproxies_environment().keys() & {"https", "all"}:
            found.append("requests go straight to the endpoint, not through the proxy that is set")
        return found

    def _own_pids(self) -> list[int]:
        """Return whose work on this machine is the measurement's own."""
        record = self.target.home.record() if self.target.home else None
        return [os.getpid(), *([record.pid] if record else [])]

    @property
    def _is_local(self) -> bool:
        return self.target.kind == "local"

    def _asked(self, measurement: Measurement, command: Sequence[str]) -> dict[str, Any]:
        started = datetime.fromtimestamp(measurement.started_epoch_s, tz=UTC)
        return {
            "command": list(command),
            "started_at": started.isoformat(timespec="milliseconds"),
            **_asked_of(self.plan, self.target, self.endpoint),
            "versions": {
                "windtunnel": __version__,
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in _VERSIONS_OF},
            },
        }


def _asked_of(plan: Plan, target: Target, endpoint: Endpoint) -> dict[str, Any]:
    """Return what is asked of whom."""
    return {
        "plan": plan.to_json(),
        "target": {
            "cloud": target.kind,
            "account": target.account,
            "region": target.region,
            **_clock(target),
        },
        "endpoint": endpoint.to_json(),
    }


def _hardware(
    target: Target, endpoint: Endpoint, facts: Mapping[str, Any], *, is_away: bool = False
) -> dict[str, Any]:
    """Return what a result was measured on; `is_away` says that other hosts made the load."""
    # Locally the endpoint runs here, too; on AWS this is the generator's machine.
    here = ["master of the generators"] if is_away else ["generator"]
    if target.kind == "local":
        here.append("endpoint")
    return {
        **hardware.fidelity(target.kind, endpoint.variants, facts["cpu_count"]),
        **_clock(target),
        "describes": " and ".join(here),
        **facts,
    }


def _clock(target: Target) -> dict[str, str]:
    """Return the clock of a cloud whose scaling is faster than AWS's; of others nothing."""
    return {} if target.warp == 1 else {"clock": f"x{target.warp:g}"}


def prepare(
    target: Target,
    endpoint_name: str,
    payloads: Sequence[Payload],
    *,
    accept: str | None,
    schedule: Schedule,
    processes: int,
    objectives: Sequence[Objective],
    directory: RunDirectory,
    baseline: Run | None = None,
    seed: int = 0,
    listening: Listening | None = None,
    outlets: Outlets | None = None,
) -> LoadRun:
    """Return a run against an endpoint that is in service, or say why there can be none."""
    endpoint = endpoints.describe(target, endpoint_name)
    endpoints.require_in_service(endpoint)
    plan = Plan(
        endpoint_name=endpoint_name,
        url=target.runtime().meta.endpoint_url,
        region=target.region,
        payloads=tuple(PayloadFacts.of(payload) for payload in payloads),
        accept=accept,
        schedule=schedule,
        processes=processes,
        objectives=tuple(objective.text for objective in objectives),
        seed=seed,
        join_at=f"{listening.host}:{listening.port}" if listening else None,
    )
    if baseline is not None:
        baselines.check_comparable(
            baseline,
            _asked_of(plan, target, endpoint),
            _hardware(target, endpoint, hardware.describe()),
        )
    directory.prepare()
    arrivals = schedule.read_arrivals() if isinstance(schedule, OpenSchedule) else None
    return LoadRun(
        plan,
        target,
        endpoint,
        tuple(objectives),
        directory,
        arrivals,
        bodies=tuple(payload.body for payload in payloads),
        baseline=baseline,
        listening=listening,
        outlets=outlets or Outlets(),
    )
