"""What becomes of an instance when something happens to it.

    starting ──answered──▶ healthy ──silent too often, ended──▶ down ──(back-off)──▶ starting
        └──refused, overdue, or ended too often before it was ever healthy──▶ failed

Pure: `step` takes what was and what happened and returns what is. The loop in `attendant.py` looks,
asks here, and acts. An instance that was healthy once is restarted for as long as it is wanted;
one that never was is given up, because nobody is served by waiting for it.
"""

from dataclasses import dataclass, replace
from enum import Enum

from windtunnel.core import limits


class Phase(Enum):
    """Where an instance stands."""

    STARTING = "starting"
    HEALTHY = "healthy"
    DOWN = "down"
    FAILED = "failed"


class Event(Enum):
    """What can happen to an instance."""

    ANSWERED = "answered /ping with 200 on every address"
    SILENT = "did not answer /ping"
    ENDED = "its container's process ended"
    REFUSED = "its container says that it cannot serve this model"
    OVERDUE = "did not answer /ping in the time allowed for its start"
    DUE = "its back-off is over"


@dataclass(frozen=True)
class Life:
    """Everything the next step depends on."""

    phase: Phase = Phase.STARTING
    # In a row: a time of health forgives them.
    crash_count: int = 0
    silence_count: int = 0
    was_healthy: bool = False
    healthy_since_s: float = 0.0

    @property
    def restart_delay_s(self) -> float:
        """How long to wait until the next start, by the crashes in a row."""
        return backoff_s(self.crash_count)


def backoff_s(crash_count: int) -> float:
    """Return the pause after so many crashes in a row: doubled each time, up to the limit."""
    # The exponent is bounded so that a week of crashes does not overflow a float.
    doubled = limits.RESTART_BACKOFF_FIRST_S * 2.0 ** min(max(crash_count - 1, 0), 32)
    return min(doubled, limits.RESTART_BACKOFF_MAX_S)


def step(life: Life, event: Event, now_s: float) -> Life:
    """Return what an instance's life is after an event; what cannot matter changes nothing."""
    if life.phase is Phase.STARTING:
        return _step_starting(life, event, now_s)
    if life.phase is Phase.HEALTHY:
        return _step_healthy(life, event, now_s)
    if life.phase is Phase.DOWN and event is Event.DUE:
        return replace(life, phase=Phase.STARTING, silence_count=0)
    return life


def _step_starting(life: Life, event: Event, now_s: float) -> Life:
    if event is Event.ANSWERED:
        return replace(life, phase=Phase.HEALTHY, was_healthy=True, healthy_since_s=now_s)
    if event is Event.ENDED:
        return _crashed(life)
    if event in {Event.REFUSED, Event.OVERDUE}:
        # Another try would end the same way; one that was healthy before may have lost its files
        # for a while only.
        return _crashed(life) if life.was_healthy else replace(life, phase=Phase.FAILED)
    return life


def _step_healthy(life: Life, event: Event, now_s: float) -> Life:
    if now_s - life.healthy_since_s >= limits.RESTART_FORGIVE_S:
        life = replace(life, crash_count=0)
    if event is Event.ANSWERED:
        return replace(life, silence_count=0)
    if event is Event.SILENT:
        life = replace(life, silence_count=life.silence_count + 1)
        is_lost = life.silence_count >= limits.PING_FAILURE_COUNT_MAX
        return _crashed(life) if is_lost else life
    if event in {Event.ENDED, Event.REFUSED}:
        return _crashed(life)
    return life


def _crashed(life: Life) -> Life:
    crash_count = life.crash_count + 1
    is_hopeless = not life.was_healthy and crash_count >= limits.RESTART_COUNT_MAX
    phase = Phase.FAILED if is_hopeless else Phase.DOWN
    return replace(life, phase=phase, crash_count=crash_count, silence_count=0)
