"""What of a Locust run makes its figures mislead, and what to do about it: one sentence each.

Pure: facts in, sentences out, and only of what is really there. Read by two: `locust_plugin.py`
runs beside whatever Locust a user has, in that one's own Python, where nothing of Windtunnel is
installed. So this file imports the standard library only, and keeps to what Python 3.8 knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Locust's own threshold (runners.py, CPU_WARNING_THRESHOLD): above it a process falls behind.
_CPU_PERCENT_MAX = 90
# A start of all users that takes more of the run than this is told of. Guess.
_RAMP_SHARE_MAX = 0.1
# What of a run time Locusts up to 2.13 read; newer ones refuse what stands behind it.
_RUN_TIME = re.compile(r"((?P<h>\d+?)h)?((?P<m>\d+?)m)?((?P<s>\d+?)s)?")


@dataclass(frozen=True)
class Asked:
    """What Locust was told to do."""

    users: int
    # None where nobody said: Locust takes 1.
    spawn_rate: float | None
    # None: until somebody ends it.
    run_time_s: float | None
    workers: int
    # User classes that never wait between two requests.
    hurried: tuple[str, ...] = ()


@dataclass
class Seen:
    """What one Locust process with users did."""

    users: int = 0
    cpu_percent: float = 0.0
    # InvokeEndpoint calls through boto3: all, those that sent nothing, those answered with a body.
    invocations: int = 0
    empty: int = 0
    answered: int = 0
    # The boto3 clients that made them.
    clients: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    users_asked: int
    users_reached: int
    processes: tuple[Seen, ...]
    # Of the master; None where there is none.
    master_cpu_percent: float | None
    # Workers that the master has heard of, and those that it did not hear from for a while.
    workers: int
    workers_missed: int
    # Names of requests that succeeded and whose answers are all said to be 0 bytes long.
    sizeless: tuple[str, ...]


def mended_run_time(text: str) -> str | None:
    """Return a run time that every Locust understands in place of one that some refuse."""
    found = _RUN_TIME.match(text)
    if text.isdigit() or found is None or found.group(0) in ("", text):
        return None
    return found.group(0)


def mended(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return Locust's arguments with a run time that can be understood, and what was changed."""
    done, remarks = list(arguments), []
    for place, word in enumerate(arguments):
        option, text, at = word, "", place
        if word in ("-t", "--run-time") and place + 1 < len(arguments):
            text, at, option = arguments[place + 1], place + 1, ""
        elif word.startswith("--run-time="):
            option, _, text = word.partition("=")
            option += "="
        elif word.startswith("-t") and not word.startswith("--"):
            option, text = "-t", word[2:]
        better = mended_run_time(text)
        if better is not None:
            done[at] = option + better
            remarks.append(of_run_time(text, better))
    return done, remarks


def of_run_time(text: str, better: str) -> str:
    """Return what to know of a run time that is not taken as it was written."""
    return (
        f"the run time {text!r} is none: newer Locusts refuse it, older ones read {better} and "
        f"stop there. It is taken as {better}; write -t {better}."
    )


def before(asked: Asked) -> list[str]:
    """Return what can be told before the run begins."""
    told = []
    rate = asked.spawn_rate or 1
    ramp_s = asked.users / rate if asked.users > rate else 0
    if asked.run_time_s is not None and ramp_s > _RAMP_SHARE_MAX * asked.run_time_s:
        pace = f"Locust starts {_number(rate)} user{'s' if rate != 1 else ''} a second"
        if asked.spawn_rate is None:
            pace += " unless told otherwise"
        most = min(asked.users, max(1, int(rate * asked.run_time_s)))
        so = (
            f"so at most {most} are ever there"
            if most < asked.users
            else "and until then fewer are there"
        )
        told.append(
            f"{pace}: {asked.users} users need {_span(ramp_s)}, the run lasts "
            f"{_span(asked.run_time_s)}, {so}. Say -r {asked.users} to start them at once."
        )
    if asked.workers > 1 and asked.users % asked.workers:
        fewer = asked.users // asked.workers * asked.workers
        more = fewer + asked.workers
        choice = f"{fewer} or {more}" if fewer else str(more)
        told.append(
            f"{asked.users} users cannot be shared evenly by {asked.workers} workers: some have "
            f"one more to serve than others. Take {choice} users."
        )
    if asked.hurried:
        told.append(
            f"{_list(asked.hurried)} has no wait_time: each user asks again when it was answered, "
            "so while the endpoint stalls nobody asks, and the latencies hide the stall. Send at a "
            "rate instead:  windtunnel load ENDPOINT --payload FILE --rate N"
        )
    return told


def after(outcome: Outcome) -> list[str]:
    """Return what is known when the run has ended."""
    processes = outcome.processes
    invocations = sum(seen.invocations for seen in processes)
    told = []
    if outcome.users_reached < outcome.users_asked:
        told.append(
            f"of {outcome.users_asked} users {outcome.users_reached} were ever there, and the "
            "figures are theirs. Start the users faster (-r), or let the run last longer (-t)."
        )
    empty = sum(seen.empty for seen in processes)
    if empty:
        told.append(
            f"{empty} of {invocations} requests had an empty body: a file that was read to its end "
            "gives nothing more. Read the payload once into a variable, and send that."
        )
    if outcome.sizeless and any(seen.answered for seen in processes):
        told.append(
            f"the answers of {_list(outcome.sizeless)} are all reported as 0 bytes long, and are "
            "not. Give events.request.fire response_length=len(body), or nobody sees an answer "
            "that is cut short."
        )
    own = [seen for seen in processes if seen.clients > 1 and seen.clients >= seen.users]
    if own:
        told.append(
            f"{sum(seen.clients for seen in own)} boto3 clients served "
            f"{sum(seen.users for seen in own)} users: each takes its time and megabytes to make, "
            "and signs every request anew. Share one in a process, or let users be "
            "windtunnel.lab.load.EndpointUser, whose requests are signed beforehand."
        )
    if outcome.workers_missed:
        told.append(
            f"{outcome.workers_missed} of {outcome.workers} workers were silent for so long that "
            "the master gave their users to others: the load was not where it seems. Start fewer "
            "workers, one for each core that is free."
        )
    told += _of_cpu(outcome)
    return told


def _of_cpu(outcome: Outcome) -> list[str]:
    told = []
    master = outcome.master_cpu_percent
    if master is not None and master > _CPU_PERCENT_MAX:
        told.append(
            f"the master was busy for {master:.0f}% of the time: it starts users late and counts "
            "late. Give it a core of its own, or take fewer workers."
        )
    busy = [seen for seen in outcome.processes if seen.cpu_percent > _CPU_PERCENT_MAX]
    if busy:
        whose = (
            "Locust itself"
            if master is None
            else f"{len(busy)} of {len(outcome.processes)} Locust workers"
        )
        told.append(
            f"{whose} had no processor time left: part of the latencies is its own. Take fewer "
            "users a process, more processes, or a user that costs less than boto3."
        )
    return told


def _number(value: float) -> str:
    return f"{value:g}"


def _span(value_s: float) -> str:
    if value_s >= 60 and value_s % 60 == 0:  # noqa: PLR2004 - seconds of a minute
        return f"{value_s / 60:.0f} min"
    return f"{value_s:.0f} s" if value_s >= 1 else f"{value_s:g} s"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
