"""Whether a load run may be believed.

A run whose own generator fell behind measured the generator, and one whose endpoint went away
averages over a time in which there was none. Such a run is invalid, whatever its numbers: its
reasons are printed before anything else and its exit status is 3. What only makes a run worth a
second look is a warning. Pure.
"""

from dataclasses import dataclass

from windtunnel.lab.quantities import format_duration, format_percent

# A run is invalid when requests left later than this after they were due, in one of a hundred
# cases: a millisecond, or a twentieth of the median latency where that is more.
LAG_S_FLOOR = 0.001
LAG_SHARE_OF_MEDIAN = 0.05
# NTP moves a clock by no more than a tenth of a second at once (ntpd's step threshold is 128 ms);
# what is more was somebody's hand, or a machine that stood still.
CLOCK_MOVED_S_MAX = 1.0
# Locust warns from the same share on (CPU_WARNING_THRESHOLD).
CPU_SHARE_WARNED = 0.9
# Runs of one setting on a 2-core machine whose cores others kept busy gave 18 to 34 requests/s
# (2026-11-22); a quiet machine's own services take a few percent.
_OTHER_WORK_SHARE_WARNED = 0.1
# An endpoint fell silent when its last good answer came longer than this before the end: longer
# than a restarted connection or a slow answer takes, and enough of the run to shift its average.
_SILENCE_S_FLOOR = 1.0
_SILENCE_SHARE_OF_WINDOW = 0.1
_SILENCE_SERVICE_TIMES = 3.0


@dataclass(frozen=True)
class Silence:
    """An endpoint that gave good answers, and then none until the end."""

    # Of the last good answer, from the start of what was measured; before it if negative.
    since_s: float
    measured_s: float
    # Whether there were answers still, though no good ones.
    is_answering_badly: bool

    def sentence(self) -> str:
        """Return this as a reason."""
        what = "stopped answering well" if self.is_answering_badly else "stopped answering"
        where = "into" if self.since_s >= 0 else "before"
        return (
            f"the endpoint {what} {format_duration(abs(self.since_s))} {where} the "
            f"{format_duration(self.measured_s)} that were measured"
        )


@dataclass(frozen=True)
class Conduct:
    """How a run went, apart from what it measured."""

    lag_s_p99: float
    latency_s_median: float | None
    users_wanted: int
    users_reached: int
    # A sentence for each load process that was lost.
    lost: tuple[str, ...]
    dropped_count: int
    is_interrupted: bool
    is_cut_short: bool
    request_count: int
    loop_lag_s_p99: float
    cpu_share_max: float
    ramp_overlap_s: float
    # Of this machine's processors, during the run.
    other_work_share: float
    silence: Silence | None
    # Why our own watch ended the run early; then `is_interrupted`, too.
    stopped_because: str | None = None
    # Of an open loop: those that found no connection free, and those nobody ever got to.
    arrivals_dropped: int = 0
    arrivals_missed: int = 0
    # How far the clock of a load process moved against its monotonic one, at most.
    clock_moved_s: float = 0.0


def find_silence(
    *,
    start_s: float,
    end_s: float,
    good_s_last: float | None,
    bad_s_last: float | None,
    is_last_bad_answered: bool,
    hung_count: int,
    service_s_p99: float,
) -> Silence | None:
    """Return since when an endpoint that did answer well no longer does, if so.

    `good_s_last` and `bad_s_last` are when the last request of the run ended well, and failed.
    """
    if good_s_last is None:
        return None
    patience_s = max(
        _SILENCE_S_FLOOR,
        _SILENCE_SHARE_OF_WINDOW * (end_s - start_s),
        _SILENCE_SERVICE_TIMES * service_s_p99,
    )
    has_failed_since = bad_s_last is not None and bad_s_last > good_s_last
    if end_s - good_s_last <= patience_s or not (has_failed_since or hung_count):
        return None
    return Silence(
        since_s=good_s_last - start_s,
        measured_s=end_s - start_s,
        is_answering_badly=has_failed_since and is_last_bad_answered,
    )


def lag_limit_s(latency_s_median: float | None) -> float:
    """Return how late the generator may run, given what it measures."""
    return max(LAG_S_FLOOR, LAG_SHARE_OF_MEDIAN * (latency_s_median or 0.0))


def generator_fault(conduct: Conduct) -> str | None:
    """Return why a run is not the load that was asked for, if so; lateness apart."""
    others = (_moved_clock(conduct), _no_room(conduct), _never_sent(conduct))
    faults = [*conduct.lost, *others]
    return next((fault for fault in faults if fault), None)


def reasons(conduct: Conduct) -> list[str]:
    """Return why a run is invalid; nothing if it is not."""
    found = []
    if conduct.stopped_because is not None:
        found.append(conduct.stopped_because)
    elif conduct.is_interrupted:
        found.append("interrupted")
    found += conduct.lost
    if moved := _moved_clock(conduct):
        found.append(moved)
    if conduct.request_count == 0:
        found.append("no request was due in the time that counts")
    if late := lateness(conduct):
        found.append(late)
    is_whole = not conduct.is_interrupted and not conduct.lost
    if conduct.users_reached < conduct.users_wanted and is_whole:
        found.append(f"only {conduct.users_reached:,} of {conduct.users_wanted:,} users ever ran")
    if conduct.dropped_count and not conduct.is_interrupted:
        found.append(f"{_count(conduct.dropped_count, 'request', 'requests')} never answered")
    found += _lost_arrivals(conduct)
    if conduct.silence:
        found.append(conduct.silence.sentence())
    if no_room := _no_room(conduct):
        found.append(no_room)
    return found


def lateness(conduct: Conduct) -> str | None:
    """Return how late the generator ran, if too late for what it measured."""
    limit_s = lag_limit_s(conduct.latency_s_median)
    if conduct.lag_s_p99 <= limit_s:
        return None
    return (
        f"the generator fell behind: requests left up to {format_duration(conduct.lag_s_p99)} late "
        f"(p99), {format_duration(limit_s)} is the limit; give it more --processes or a quieter "
        "machine"
    )


def _moved_clock(conduct: Conduct) -> str | None:
    if conduct.clock_moved_s <= CLOCK_MOVED_S_MAX:
        return None
    return (
        f"the clock of a load process moved by {format_duration(conduct.clock_moved_s)} during "
        "the run: it was set, or its machine slept"
    )


def _no_room(conduct: Conduct) -> str | None:
    if not conduct.is_cut_short:
        return None
    return "a load process had no room for more requests and stopped early"


def _lost_arrivals(conduct: Conduct) -> list[str]:
    """Return which requests of an open loop were due and not sent."""
    found = []
    if conduct.arrivals_dropped:
        found.append(
            f"{_count(conduct.arrivals_dropped, 'arrival', 'arrivals')} dropped: all connections "
            "were waiting for answers; the endpoint does not keep up with this rate, or the "
            "generator needs more --processes"
        )
    if never_sent := _never_sent(conduct):
        found.append(never_sent)
    return found


def _never_sent(conduct: Conduct) -> str | None:
    if not conduct.arrivals_missed:
        return None
    return f"{_count(conduct.arrivals_missed, 'arrival', 'arrivals')} never sent"


def warnings(conduct: Conduct) -> list[str]:
    """Return what makes a run worth a second look."""
    limit_s = lag_limit_s(conduct.latency_s_median)
    found = []
    if conduct.loop_lag_s_p99 > limit_s:
        found.append(
            f"the generator itself woke up to {format_duration(conduct.loop_lag_s_p99)} late "
            "(p99): latencies may hold as much of its own; other work on this machine does that"
        )
    if conduct.cpu_share_max > CPU_SHARE_WARNED:
        found.append(
            f"a load process used {format_percent(conduct.cpu_share_max)} of its core: throughput "
            "may be its limit, not the endpoint's; give it more --processes"
        )
    if conduct.other_work_share > _OTHER_WORK_SHARE_WARNED:
        found.append(
            f"other work took {format_percent(conduct.other_work_share)} of this machine during "
            "the run: do not expect to see these numbers again"
        )
    if conduct.ramp_overlap_s > 0:
        found.append(
            f"users were still being started for the first "
            f"{format_duration(conduct.ramp_overlap_s)} that count: use a longer --warmup"
        )
    return found


def _count(number: int, singular: str, plural: str) -> str:
    return f"1 {singular} was" if number == 1 else f"{number:,} {plural} were"
