"""`windtunnel load`: put load on an endpoint, and keep what was measured."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from windtunnel.cli import (
    capacity,
    options,
    outcome,
    outlets,
    payloads,
    safety,
    schedules,
    unread,
    work,
)
from windtunnel.cli import gate as gates
from windtunnel.cli import hosts as hosts_
from windtunnel.core.errors import NotReadyError, UsageError, WindtunnelError

if TYPE_CHECKING:
    from windtunnel.lab.gate import GateFiles
    from windtunnel.lab.load.run import LoadRun
    from windtunnel.lab.run_directory import RunDirectory

Words = ParamSpec("Words")


_EndpointArgument = Annotated[
    str | None,
    typer.Argument(metavar="ENDPOINT", help="The endpoint's name.", show_default=False),
]
_OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Where the run is kept; a new or an empty directory.",
        show_default=False,
    ),
]
_SloOption = Annotated[
    list[str] | None,
    typer.Option(
        "--slo",
        metavar="OBJECTIVE",
        help="What must hold of all requests to come: p95=150ms, errors=0.1%. It is held, or "
        "missed, when the run shows so with 99% confidence (p99 takes 459 requests, all good; 662 "
        "with one bad); else it is said how many more would. A failed request is over any limit. "
        "Give it as often as needed.",
        show_default=False,
    ),
]


def _without_verdict(command: Callable[Words, None]) -> Callable[Words, None]:
    """Let what keeps a run from being made end with 4: 1 is a run that missed an objective."""

    @functools.wraps(command)
    def run(*words: Words.args, **options: Words.kwargs) -> None:
        try:
            command(*words, **options)
        except WindtunnelError as error:
            if error.exit_code != outcome.MISSED:
                raise
            raise NotReadyError(str(error)) from error

    return run


@_without_verdict
def load(
    what: payloads.What,
    when: schedules.When,
    hosts: hosts_.Hosts,
    gate: gates.Gate,
    looks: outlets.Looks,
    where: options.Where,
    safe: safety.Safety,
    endpoint_name: _EndpointArgument = None,
    out: _OutOption = None,
    slo: _SloOption = None,
    as_json: options.JsonOption = False,  # noqa: FBT002
) -> None:
    """Put load on an endpoint and measure throughput and latency.

    [bold]Example[/bold]: windtunnel load unet --payload payload.json
    --users 4 --duration 30s --slo p95=150ms --out runs/first

    Users (--users) wait for each answer: a slow endpoint is asked less, and
    looks better than it is. Requests at a rate (--rate, --stages, --trace)
    come when they are due, as from independent clients; any wait counts.
    --capacity finds the highest rate that keeps the objectives; every step of
    the search is kept in DIR/steps.

    DIR gets summary.json, requests.parquet (every request), run.json (what was
    asked) and report.html. The rate, there throughput_rps, is that of good
    answers, by when they came. Ctrl-C keeps what was measured so far.

    On AWS it says what the run costs and wants the endpoint's name typed; where
    nobody can answer (no terminal), it wants --yes.

    Exit status: 0 every objective held (or none was given), or the capacity
    was found; 1 one was missed or too few requests were sent to say, none was
    answered well, a figure is worse than the baseline's, or no rate held; 2
    wrong words or files, it may cost too much, or nobody stood for it; 3 the
    run is invalid (the generator fell behind or dropped arrivals, or 5xx ended
    it) and has no verdict, or the generator was the limit of the capacity; 4
    it could not run; 130 interrupted.
    """
    from windtunnel.lab import invocation, objectives
    from windtunnel.lab.load import run
    from windtunnel.lab.order import check_endpoint_name
    from windtunnel.lab.run_directory import RunDirectory

    hosts.check()
    if hosts.worker:
        work.refuse_others(what, when, gate, looks, safe, out=out, slo=slo, json=as_json)
        work.serve(hosts, where, endpoint_name)
    if endpoint_name is None or out is None:
        raise _nothing_to_do(what, when, endpoint_name, out)
    with before_sending():
        check_endpoint_name(endpoint_name)
        sent = what.read()
        wanted = [objectives.parse_objective(text) for text in slo or []]
        watches = safe.watches(where.cloud)
        if when.capacity:
            capacity.check(hosts, gate, looks)
            search = when.search(hosts.count, len(sent), wanted)
        else:
            schedule = when.schedule(hosts.count, len(sent), processes_word=hosts.count_word)
        directory = RunDirectory(out)
        directory.check()
        held_to = gate.read_baseline()
        files = gate.files(out)
        target = where.open()
        prepare = functools.partial(
            run.prepare,
            target,
            endpoint_name,
            sent,
            accept=what.accept,
            objectives=wanted,
            seed=when.seed or 0,
            listening=hosts.listening(),
            outlets=looks.outlets(),
        )
        if when.capacity:
            capacity.agree(search, prepare, directory, safe)
            one = functools.partial(invocation.invoke, target, endpoint_name, sent[0], what.accept)
            carry_out = functools.partial(
                capacity.carry_out, search, prepare, one, directory, watches
            )
        else:
            prepared = prepare(
                schedule=schedule, processes=hosts.count, directory=directory, baseline=held_to
            )
            safe.agree(prepared, prepared.plan.lines())
            carry_out = functools.partial(_carry_out, prepared, watches())
        files.begin(endpoint_name)
    _end(carry_out(), directory, files, as_json=as_json)


@contextlib.contextmanager
def before_sending() -> Iterator[None]:
    """Say of an interrupt, while the block runs, that there is nothing to keep."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("windtunnel: interrupted before anything was sent", err=True)
        raise typer.Exit(outcome.INTERRUPTED) from None


def _nothing_to_do(
    what: payloads.What, when: schedules.When, endpoint_name: str | None, out: Path | None
) -> UsageError:
    """Return everything that is missing at once: words are not to be found out one by one."""
    needed = {
        "the ENDPOINT": endpoint_name,
        "what to send (--payload FILE)": what.payload or what.payload_lines,
        "a load (--users N or --rate R, with --duration T)": when.is_any or None,
        "the directory of the run (--out DIR)": out,
    }
    *most, last = [words for words, value in needed.items() if value is None]
    return UsageError(f"Name {', '.join(most)}{' and ' if most else ''}{last}.")


def _carry_out(prepared: "LoadRun", watch: "safety.Watch") -> dict[str, Any]:
    """Send what was agreed to."""
    from windtunnel.cli.live import LiveView

    plan = prepared.plan
    with LiveView(plan.schedule, plan.processes, prepared.arrivals) as live:
        return prepared.execute(
            on_tick=live.tick,
            on_wait=live.wait,
            on_joined=live.note,
            command=sys.argv,
            watch=watch,
        )


def _end(
    summary: Mapping[str, Any], directory: "RunDirectory", files: "GateFiles", *, as_json: bool
) -> None:
    """Tell what a run came to, and end with its status."""
    try:
        outcome.show(summary, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        # The run is kept, and its status is what it came to, whoever reads of it.
        unread.drop(sys.stdout)
    if "capacity" in summary:
        typer.echo(f"steps     {directory.path / 'steps'}", err=True)
    if directory.report.exists():
        typer.echo(f"report    {directory.report}", err=True)
    for problem in files.write(summary):
        typer.echo(f"warning   {problem}", err=True)
    raise typer.Exit(outcome.exit_status(summary))
