"""`windtunnel load`: put load on an endpoint, and keep what was measured."""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from windtunnel.cli import capacity, options, outlets, payloads, safety, schedules, unread, work
from windtunnel.cli import gate as gates
from windtunnel.cli import hosts as hosts_
from windtunnel.core.errors import NotReadyError, UsageError, WindtunnelError

if TYPE_CHECKING:
    from windtunnel.lab.gate import GateFiles
    from windtunnel.lab.load.run import LoadRun
    from windtunnel.lab.run_directory import RunDirectory

Words = ParamSpec("Words")

_MISSED, _INVALID, _INTERRUPTED = 1, 3, 130
# Of a set of payloads, so many are told of at the end.
_PAYLOADS_SHOWN = 5
# Of a search for capacity: what it came to decides, not the run that stands for it.
_SEARCHES = {"found": 0, "none": _MISSED}


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
            if error.exit_code != _MISSED:
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
        raise typer.Exit(_INTERRUPTED) from None


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
        _show(summary, as_json=as_json)
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
    raise typer.Exit(exit_status(summary))


def exit_status(summary: Mapping[str, Any]) -> int:
    """Return what a run's outcome is to a script."""
    from windtunnel.lab import checks

    if "interrupted" in summary["reasons"]:
        return _INTERRUPTED
    if "capacity" in summary:
        return _SEARCHES.get(summary["capacity"]["outcome"], _INVALID)
    if not summary["valid"]:
        return _INVALID
    return 0 if checks.is_passed(summary) else _MISSED


def _show(summary: Mapping[str, Any], *, as_json: bool) -> None:
    """Print why a run is invalid before anything else; then what it came to, on stdout."""
    for reason in summary["reasons"]:
        typer.echo(f"INVALID   {reason}", err=True)
    for warning in summary["warnings"]:
        typer.echo(f"warning   {warning}", err=True)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        for line in result_lines(summary):
            typer.echo(line)


def result_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return a run's outcome as a person reads it."""
    from windtunnel.lab.quantities import format_duration, format_percent, format_rate

    latency = summary["latency_s"]
    count, failures = summary["requests"], summary["failures"]
    lines = [
        *capacity.lines(summary.get("capacity")),
        f"on        {summary['hardware']['instances']}",
    ]
    if count == 0:
        return [*lines, f"requests  {_nothing_measured(summary)}", *_warmup_lines(summary)]
    rate = format_rate(summary["throughput_rps"])
    lines.append(f"rate      {rate} {_driven(summary)}")
    if failures < count:
        marks = "  ".join(f"{name} {format_duration(value)}" for name, value in latency.items())
        lines.append(f"latency   {marks}")
    share = format_percent(failures / count)
    length = format_duration(summary["measured_s"])
    return [
        *lines,
        f"requests  {count:,} in {length}, {failures:,} failed ({share})",
        *_warmup_lines(summary),
        *_payload_lines(summary.get("payloads", [])),
        *(
            f"error     {error['count']:,} x {error['kind']}: {error['example']}".rstrip(": ")
            for error in summary["errors"]
        ),
        *(
            f"{verdict['outcome']:9} {verdict['objective']}: {verdict['reason']}"
            for verdict in summary["objectives"]
        ),
        *_baseline_lines(summary.get("baseline")),
    ]


def _warmup_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return what failed before anything counted: it is no result, but may be why there is none."""
    return [
        f"warm-up   {error['count']:,} of {summary['warmup_requests']:,} x {error['kind']}: "
        f"{error['example']}"
        for error in summary.get("warmup_errors", [])
    ]


def _payload_lines(payloads: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what each of several payloads came to, the slowest first."""
    from windtunnel.lab.quantities import format_bytes, format_duration

    slowest = sorted(payloads, key=lambda each: -(each["latency_s"]["p95"] or 0.0))
    lines = [
        f"payload   {each['payload']} ({format_bytes(each['bytes'])}): {each['requests']:,} "
        f"requests, {each['failures']:,} failed"
        + "".join(
            f", {name} {format_duration(each['latency_s'][name])}"
            for name in ("p50", "p95")
            if each["latency_s"][name] is not None
        )
        for each in slowest[:_PAYLOADS_SHOWN]
    ]
    more = len(payloads) - len(lines)
    return [*lines, f"payload   and {more:,} more in summary.json"] if more else lines


def _baseline_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return how a run compares with its baseline, figure by figure."""
    if found is None:
        return []
    changed = ", ".join(
        f"{each['what']} {each['then']} then, {each['now']} now" for each in found["differences"]
    )
    lines = [f"baseline  {found['run']}, {found['outcome']}"]
    if changed:
        lines.append(f"changed   {changed}")
    return lines + [
        f"{figure['name']:9} {figure['sentence']}: {figure['verdict']}"
        for figure in found["figures"]
    ]


def _driven(summary: Mapping[str, Any]) -> str:
    """Return what the rate that was reached stands beside."""
    from windtunnel.lab.quantities import format_rate

    if "arrivals" in summary:
        arrivals = summary["arrivals"]
        wanted, count = format_rate(arrivals["wanted_rps"]), arrivals["connections"]
        connections = "1 connection" if count == 1 else f"{count:,} connections"
        return f"good answers/s of {wanted} requests/s, on {connections}"
    users = summary["users"]
    return f"good answers/s by {users['reached']:,} of {users['wanted']:,} users"


def _nothing_measured(summary: Mapping[str, Any]) -> str:
    """Return what to say of a run without a request that counts: a rate of 0 would be a result."""
    count = summary["warmup_requests"]
    if count == 0:
        return "none was answered: nothing was measured"
    return f"nothing was measured: {count:,} in the warm-up, which does not count"
