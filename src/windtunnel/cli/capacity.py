"""`windtunnel load --capacity`: what is said while the highest rate is searched, and at its end."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from windtunnel.cli.gate import Gate
    from windtunnel.cli.hosts import Hosts
    from windtunnel.cli.outlets import Looks
    from windtunnel.cli.safety import Safety
    from windtunnel.lab.load.capacity import Done, Next
    from windtunnel.lab.load.plan import Schedule
    from windtunnel.lab.load.run import LoadRun
    from windtunnel.lab.load.stair import Step, Wanted, Watch
    from windtunnel.lab.run_directory import RunDirectory


def check(hosts: "Hosts", gate: "Gate", looks: "Looks") -> None:
    """Refuse what belongs to a single run: a search is many."""
    from windtunnel.core.errors import UsageError

    if gate.baseline is not None:
        raise UsageError(
            "--baseline cannot be held against a search for --capacity: it compares one load with "
            "the same load. Leave one of them out."
        )
    if hosts.master:
        raise UsageError(
            "--master means nothing with --capacity yet: workers of other hosts leave after one "
            "run, and a search is many. Give this host more --processes."
        )
    shown = {
        "--ui": looks.ui,
        "--prometheus": looks.prometheus is not None,
        "--csv": looks.csv is not None,
        "--html": looks.html is not None,
    }
    for name, is_given in shown.items():
        if is_given:
            raise UsageError(
                f"{name} means nothing with --capacity yet: it shows one run, and a search is "
                "many. Leave it out."
            )


def agree(
    wanted: "Wanted",
    prepare: "Callable[..., LoadRun]",
    directory: "RunDirectory",
    safe: "Safety",
) -> None:
    """Say what all the runs of a search send, before the first; go on if that is agreed to."""
    run = prepare(schedule=wanted.alone(), directory=directory, processes=wanted.processes)
    lines = [
        f"schedule  {wanted.sentence()}" if line.startswith("schedule") else line
        for line in run.plan.lines()
    ]
    safe.agree(run, lines, load_s=wanted.likely_s)


def carry_out(
    wanted: "Wanted",
    prepare: "Callable[..., LoadRun]",
    invoke: Callable[[], object],
    directory: "RunDirectory",
    watches: "Callable[[], Watch]",
) -> dict[str, Any]:
    """Search, tell of every step, and return the summary of the run that stands for the result."""
    from windtunnel.core.errors import WindtunnelError
    from windtunnel.lab.load.stair import Search

    def prepare_step(schedule: "Schedule", step: "RunDirectory", processes: int) -> "LoadRun":
        return prepare(schedule=schedule, directory=step, processes=processes)

    teller = _Teller(watches)
    try:
        return Search(
            wanted, directory, prepare=prepare_step, carry_out=teller.execute, invoke=invoke
        ).run(teller.tell_alone, teller.tell_step)
    except WindtunnelError:
        typer.echo(f"steps     what was measured is in {directory.path / 'steps'}", err=True)
        raise


def lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return what a search came to, as a person reads it."""
    if found is None:
        return []
    runs = "1 step" if len(found["steps"]) == 1 else f"{len(found['steps'])} steps"
    return [f"capacity  {found['sentence']} ({runs})"]


class _Teller:
    """Says on stderr what goes on, a line a step."""

    def __init__(self, watches: "Callable[[], Watch]") -> None:
        self._watches = watches

    def execute(self, run: "LoadRun", watch: "Watch") -> dict[str, Any]:
        """Carry out one run under a live view."""
        from windtunnel.cli.live import LiveView

        of_all = self._watches()
        with LiveView(run.plan.schedule, run.plan.processes, run.arrivals) as live:
            return run.execute(
                on_tick=live.tick,
                on_wait=live.wait,
                command=sys.argv,
                watch=lambda tick: watch(tick) or of_all(tick),
                # `windtunnel report DIR/steps/NN` makes one of any step.
                has_page=False,
            )

    def tell_alone(self, summary: Mapping[str, Any]) -> None:
        """Say what a request takes alone."""
        from windtunnel.lab.quantities import format_rate

        rate = f"{format_rate(summary['throughput_rps'])} requests/s"
        typer.echo(f"alone     {rate} by one user{_latency(summary['latency_s'])}", err=True)

    def tell_step(self, step: "Step", following: "Next | Done") -> None:
        """Say what became of a rate, and how many come if none is a surprise."""
        from windtunnel.lab.load.capacity import Next
        from windtunnel.lab.quantities import format_rate

        what = "confirming " if step.is_confirmation else ""
        rate = f"{what}{format_rate(step.rate_rps)} requests/s"
        said = f"{step.outcome}{_latency(step.summary['latency_s'])}; {step.why}"
        ahead = ""
        if isinstance(following, Next):
            ahead = f"; {following.likely_left + 1} or more to come"
        typer.echo(f"step {step.number:<4} {rate}: {said}{ahead}", err=True)


def _latency(latency_s: Mapping[str, float | None]) -> str:
    from windtunnel.lab.quantities import format_duration

    marks = [
        f"{name} {format_duration(value)}"
        for name in ("p50", "p95")
        if (value := latency_s[name]) is not None
    ]
    return f", {' '.join(marks)}" if marks else ""
