"""What a load run came to, as `windtunnel load` tells it: to a person, and to a script."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from windtunnel.cli import capacity

INTERRUPTED = 130
MISSED, _INVALID = 1, 3
# Of a search for capacity: what it came to decides, not the run that stands for it.
_SEARCHES = {"found": 0, "none": MISSED}
# Of a set of payloads, so many are told of at the end.
_PAYLOADS_SHOWN = 5


def exit_status(summary: Mapping[str, Any]) -> int:
    """Return what a run's outcome is to a script."""
    from windtunnel.lab import checks

    if "interrupted" in summary["reasons"]:
        return INTERRUPTED
    if "capacity" in summary:
        return _SEARCHES.get(summary["capacity"]["outcome"], _INVALID)
    if not summary["valid"]:
        return _INVALID
    return 0 if checks.is_passed(summary) else MISSED


def show(summary: Mapping[str, Any], *, as_json: bool) -> None:
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
    from windtunnel.lab import hardware
    from windtunnel.lab.quantities import format_duration, format_percent, format_rate

    latency = summary["latency_s"]
    count, failures = summary["requests"], summary["failures"]
    lines = [
        *capacity.lines(summary.get("capacity")),
        f"on        {hardware.place(summary['hardware'])}",
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
