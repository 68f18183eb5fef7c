"""What was run on what: everything somebody needs to judge a run's numbers, or to repeat them."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.quantities import (
    format_bytes,
    format_bytes_exactly,
    format_duration,
    format_percent,
)
from windtunnel.lab.report.markup import join, tag
from windtunnel.lab.report.view import RunView

Row = tuple[str, object]

# How far each can be trusted: a person compares them with what Locust showed.
_FIGURES = (
    "percentiles are exact, from every request that counts; those shown while the run went on, and "
    "Locust's, have three significant digits; the rate is that of good answers, by when they came"
)


def rows(view: RunView) -> list[Row]:
    """Return the circumstances of a run, one by one."""
    asked, summary = view.run.asked, view.run.summary
    return [
        *_served(asked, summary["hardware"]),
        *_sent(asked["plan"], summary),
        *_generated(summary),
        ("figures", _FIGURES),
        ("versions", ", ".join(f"{name} {number}" for name, number in asked["versions"].items())),
        ("command", tag("code", shlex.join(asked["command"]))),
    ]


def _served(asked: Mapping[str, Any], hardware: Mapping[str, Any]) -> Iterator[Row]:
    endpoint = asked["endpoint"]
    yield "endpoint", f"{endpoint['name']} ({asked['target']['cloud']}, {asked['plan']['url']})"
    yield "instances", f"{hardware['instances']}; fidelity: {hardware['fidelity']}"
    if "clock" in hardware:
        yield "clock", f"clock {hardware['clock']}: scaling is so many times as fast as on AWS"
    if "server" in hardware:
        yield "served by", hardware["server"]
    for variant in endpoint["variants"]:
        label = f" of {variant['name']}" if len(endpoint["variants"]) > 1 else ""
        yield f"image{label}", tag("code", variant["image"])
        settings = [
            tag("div", tag("code", f"{key}={value}"))
            for key, value in variant["environment"].items()
        ]
        yield f"settings{label}", join(settings) if settings else "the container's defaults"


def _sent(plan: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[Row]:
    schedule = plan["schedule"]
    payloads = plan["payloads"]
    first = payloads[0]
    size = format_bytes_exactly(first["bytes"])
    text = f"{size} of {first['content_type']}, sha256 {first['sha256'][:16]}"
    if len(payloads) > 1:
        sizes = [payload["bytes"] for payload in payloads]
        span = f"{format_bytes_exactly(min(sizes))} to {format_bytes_exactly(max(sizes))}"
        text = f"{len(payloads):,} payloads of {span}, drawn by their weights"
    yield "request", text
    measured, warmup = format_duration(summary["measured_s"]), format_duration(schedule["warmup_s"])
    if "arrivals" in summary:
        how = (
            f"{OpenSchedule.from_json(schedule).in_short()}, each sent when it was due, on "
            f"{summary['arrivals']['connections']:,} connections"
        )
    else:
        users = summary["users"]
        sentence = ClosedSchedule.from_json(schedule).pause()
        how = (
            f"{users['reached']:,} of {users['wanted']:,} users, each sending the next request "
            f"{sentence}"
        )
    uncounted = f"{summary['warmup_requests']:,} requests not counted"
    yield "schedule", f"{how}, for {measured} after {warmup} of warm-up ({uncounted})"


def _generated(summary: Mapping[str, Any]) -> Iterator[Row]:
    generator, hardware = summary["generator"], summary["hardware"]
    processes = (
        "1 process" if generator["processes"] == 1 else f"{generator['processes']} processes"
    )
    late = format_duration(summary["schedule_lag_s_p99"])
    loop_late = format_duration(generator["loop_lag_s_p99"])
    share = format_percent(generator["cpu_share_max"])
    text = (
        f"{processes}, at most {share} of a core; requests left up to {late} late, the event loop "
        f"woke up to {loop_late} late (p99)"
    )
    yield "generator", text
    cores = f"{hardware['cpu_count_usable']} of {hardware['cpu_count']} cores"
    sets = ", ".join(hardware["instruction_sets"])
    text = (
        f"{hardware['cpu_model']}, {cores}, {format_bytes(hardware['memory_bytes'])} of memory, "
        f"{format_percent(generator['other_work_share'])} of it taken by other work"
    )
    yield "machine", f"{text}; {sets}" if sets else text
