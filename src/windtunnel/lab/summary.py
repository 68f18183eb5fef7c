"""What a run's requests come to: the numbers of `summary.json`.

Percentiles are exact: the smallest latency that at least that share of the answered requests did
not exceed. Latency is of requests that were answered well; a failed one has none, and counts
against every objective instead. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from windtunnel.lab import objectives, validity
from windtunnel.lab.load import arrivals as open_loop
from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.plan import Plan, Schedule
from windtunnel.lab.measurement import Floats, Measurement
from windtunnel.lab.quantities import format_rate

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True)
class Window:
    """The part of a run that counts, in seconds from its start."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it was."""
        return self.end_s - self.start_s


def window_of(plan: Plan, measurement: Measurement) -> Window:
    """Return the time after the warm-up, up to the end that was planned or came earlier."""
    schedule = plan.schedule
    ends = [worker.end_s for worker in measurement.workers if worker.end_s > 0]
    end_s = min([schedule.total_s, *ends])
    return Window(min(schedule.warmup_s, end_s), end_s)


def percentile(values: Floats, share: float) -> float:
    """Return the smallest of `values` that a `share` of them does not exceed."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def distribution(values: Floats) -> dict[str, float | None]:
    """Return the percentiles that a summary holds."""
    if len(values) == 0:
        return dict.fromkeys([*_PERCENTILES, "max"])
    found: dict[str, float | None] = {
        name: round(percentile(values, share), 6) for name, share in _PERCENTILES.items()
    }
    return {**found, "max": round(float(values.max()), 6)}


def summarise(
    plan: Plan,
    measurement: Measurement,
    *,
    hardware: Mapping[str, Any],
    other_work_share: float,
    wanted: Sequence[objectives.Objective],
    arrivals: open_loop.Arrivals | None = None,
) -> dict[str, Any]:
    """Return `summary.json` of a run; `arrivals` are those of an open loop."""
    window = window_of(plan, measurement)
    counted = (measurement.due_s >= window.start_s) & (measurement.due_s < window.end_s)
    counted &= measurement.was_sent
    good = counted & (measurement.error == 0)
    latency_s = (measurement.done_s - measurement.due_s)[good]
    service_s = (measurement.done_s - measurement.sent_s)[good]
    lag_s = (measurement.sent_s - measurement.due_s)[counted]
    count, failures = int(counted.sum()), int(counted.sum() - good.sum())
    latency = distribution(latency_s)
    conduct = _conduct(
        plan,
        measurement,
        window,
        lag_s=lag_s,
        latency_s_median=latency["p50"],
        service_s=service_s,
        other_work_share=other_work_share,
        arrivals=arrivals,
    )
    reasons = validity.reasons(conduct)
    verdicts = [_verdict(objective, latency_s, failures) for objective in wanted]
    if reasons:
        verdicts = [verdict.voided() for verdict in verdicts]
    ended_in_window = (measurement.done_s >= window.start_s) & (measurement.done_s < window.end_s)
    well_ended = int((ended_in_window & (measurement.error == 0)).sum())
    return {
        "endpoint": plan.endpoint_name,
        "requests": count,
        "failures": failures,
        "throughput_rps": round(well_ended / window.length_s, 4) if window.length_s else 0.0,
        "latency_s": latency,
        "service_s": distribution(service_s),
        "schedule_lag_s_p99": round(conduct.lag_s_p99, 6),
        "valid": not reasons,
        "reasons": reasons,
        "warnings": [*validity.warnings(conduct), *measurement.notes],
        "objectives": [verdict.to_json() for verdict in verdicts],
        "errors": _errors(measurement, counted),
        **_by_payload(plan, measurement, counted),
        **_driven(conduct, measurement, window, arrivals),
        "measured_s": round(window.length_s, 3),
        "warmup_s": round(window.start_s, 3),
        "warmup_requests": int((measurement.was_sent & (measurement.due_s < window.start_s)).sum()),
        "warmup_errors": _errors(
            measurement, measurement.was_sent & (measurement.due_s < window.start_s)
        ),
        "answer_bytes": int(measurement.bytes[good].sum()),
        "generator": {
            "processes": plan.processes,
            "cpu_share_max": round(conduct.cpu_share_max, 3),
            "loop_lag_s_p99": round(conduct.loop_lag_s_p99, 6),
            "other_work_share": round(conduct.other_work_share, 3),
            "fault": validity.generator_fault(conduct),
            "late": validity.lateness(conduct),
        },
        "hardware": dict(hardware),
    }


def _conduct(
    plan: Plan,
    measurement: Measurement,
    window: Window,
    *,
    lag_s: Floats,
    latency_s_median: float | None,
    service_s: Floats,
    other_work_share: float,
    arrivals: open_loop.Arrivals | None,
) -> validity.Conduct:
    workers = measurement.workers
    schedule = plan.schedule
    is_closed = isinstance(schedule, ClosedSchedule)
    return validity.Conduct(
        lag_s_p99=percentile(lag_s, 0.99) if len(lag_s) else 0.0,
        latency_s_median=latency_s_median,
        users_wanted=_users_wanted(schedule, measurement),
        users_reached=sum(worker.users_peak for worker in workers) if is_closed else 0,
        lost=measurement.lost,
        clock_moved_s=max((abs(worker.clock_moved_s) for worker in workers), default=0.0),
        dropped_count=sum(worker.unanswered for worker in workers),
        is_interrupted=measurement.is_interrupted,
        is_cut_short=any(worker.is_full for worker in workers),
        request_count=len(lag_s),
        loop_lag_s_p99=max((worker.loop_lag_s_p99 for worker in workers), default=0.0),
        cpu_share_max=max((worker.cpu_share for worker in workers), default=0.0),
        ramp_overlap_s=max(0.0, schedule.ramp_s - window.start_s),
        other_work_share=other_work_share,
        silence=_silence(measurement, window, service_s),
        stopped_because=measurement.stopped_because,
        arrivals_dropped=sum(worker.dropped for worker in workers),
        arrivals_missed=_missed(measurement, window, arrivals) if arrivals else 0,
    )


def _users_wanted(schedule: Schedule, measurement: Measurement) -> int:
    """Return how many users there should have been at the most."""
    if not isinstance(schedule, ClosedSchedule):
        return 0
    return schedule.users if measurement.users_wanted is None else measurement.users_wanted


def _missed(measurement: Measurement, window: Window, arrivals: open_loop.Arrivals) -> int:
    """Return how many arrivals were neither sent nor dropped, in a run that went to its end."""
    workers = measurement.workers
    is_whole = not any(worker.is_full for worker in workers) and not measurement.lost
    if measurement.is_interrupted or not is_whole:
        return 0
    taken = len(measurement) + sum(worker.unanswered for worker in workers)
    return max(0, open_loop.count(arrivals, 0.0, window.end_s) - taken)


def _driven(
    conduct: validity.Conduct,
    measurement: Measurement,
    window: Window,
    arrivals: open_loop.Arrivals | None,
) -> dict[str, Any]:
    """Return what drove the load: users, or arrivals at a rate."""
    if arrivals is None:
        return {"users": {"wanted": conduct.users_wanted, "reached": conduct.users_reached}}
    due = open_loop.count(arrivals, window.start_s, window.end_s)
    workers = measurement.workers
    return {
        "arrivals": {
            "due": due,
            "wanted_rps": round(due / window.length_s, 4) if window.length_s else 0.0,
            "dropped": sum(worker.dropped_counted for worker in workers),
            "connections": sum(worker.connections for worker in workers),
        }
    }


def driven_by(summary: Mapping[str, Any]) -> str:
    """Return what drove the load of a run, in a few words."""
    if "arrivals" in summary:
        return f"{format_rate(summary['arrivals']['wanted_rps'])} wanted"
    users = summary["users"]["reached"]
    return f"{users:,} user{'s' if users != 1 else ''}"


def _silence(
    measurement: Measurement, window: Window, service_s: Floats
) -> validity.Silence | None:
    """Return since when the endpoint no longer answers, judged by all requests of the run."""
    is_good = measurement.error == 0
    is_bad = measurement.was_sent & ~is_good
    good_done_s, bad_done_s = measurement.done_s[is_good], measurement.done_s[is_bad]
    bad_status = measurement.status[is_bad]
    hung_count = sum(worker.unanswered for worker in measurement.workers)
    return validity.find_silence(
        start_s=window.start_s,
        end_s=window.end_s,
        good_s_last=float(good_done_s.max()) if len(good_done_s) else None,
        bad_s_last=float(bad_done_s.max()) if len(bad_done_s) else None,
        is_last_bad_answered=bool(len(bad_status) and bad_status[bad_done_s.argmax()]),
        # Who interrupts a run does not wait for what is under way.
        hung_count=0 if measurement.is_interrupted else hung_count,
        service_s_p99=percentile(service_s, 0.99) if len(service_s) else 0.0,
    )


def _verdict(
    objective: objectives.Objective, latency_s: Floats, failures: int
) -> objectives.Verdict:
    count = len(latency_s) + failures
    if objective.limit_s is None:
        measured = failures / count if count else None
        return objectives.judge(
            objective, count=count, over=failures, measured=measured, failed=failures
        )
    over = failures + int((latency_s > objective.limit_s).sum())
    measured = percentile(latency_s, objective.share) if len(latency_s) else None
    return objectives.judge(objective, count=count, over=over, measured=measured, failed=failures)


def _errors(measurement: Measurement, counted: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a mask
    """Return the kinds of error that count, the most frequent first, each with one example."""
    counts = np.bincount(measurement.error[counted]).tolist()
    numbers = Counter({number: count for number, count in enumerate(counts) if number and count})
    return [
        {
            "kind": measurement.error_kinds[number - 1],
            "count": count,
            "example": measurement.error_examples[number - 1],
        }
        for number, count in numbers.most_common()
    ]


def _by_payload(
    plan: Plan,
    measurement: Measurement,
    counted: Any,  # noqa: ANN401 - a mask
) -> dict[str, Any]:
    """Return what each of several payloads came to; one alone is what the whole run came to."""
    if len(plan.payloads) == 1:
        return {}
    found = []
    latency_s = measurement.done_s - measurement.due_s
    for number, payload in enumerate(plan.payloads):
        mine = counted & (measurement.payload == number)
        good = mine & (measurement.error == 0)
        found.append(
            {
                "payload": payload.name,
                "bytes": payload.bytes,
                "requests": int(mine.sum()),
                "failures": int(mine.sum() - good.sum()),
                "latency_s": distribution(latency_s[good]),
            }
        )
    return {"payloads": found}
