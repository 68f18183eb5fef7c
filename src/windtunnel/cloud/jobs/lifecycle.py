r"""Which states a compilation job goes through.

Rule 1: every transition is in the table; what is not in it cannot happen, and raises one kind of
error that names the state and the event. Rule 2: nothing here starts, stores or answers anything.

    CreateCompilationJob -> STARTING -> INPROGRESS -> COMPLETED
                               \            \-------> FAILED
                                \------------\------> STOPPING -> STOPPED
    the cloud starts again: STARTING -> STARTING, INPROGRESS -> FAILED, STOPPING -> STOPPED

The states are those of botocore's `CompilationJobStatus`. A job that waits for its turn is
STARTING. One that was under way when the cloud ended is not begun anew: if it was what brought the
machine down, it would do so again at each start. A stop that comes while the output is being
delivered comes too late, and the job is COMPLETED.
"""

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """A state, in AWS's spelling."""

    STARTING = "STARTING"
    INPROGRESS = "INPROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


class Event(StrEnum):
    """Something that happens to a job."""

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    STOP_REQUESTED = "stop requested"
    STOPPED = "stopped"
    CLOUD_RESTARTED = "cloud restarted"
    DELETE_REQUESTED = "delete requested"


class IllegalTransitionError(Exception):
    """An event that a state has no answer to."""

    def __init__(self, status: Status, event: Event) -> None:
        super().__init__(f"A job that is {status} cannot take the event: {event}.")
        self.status = status
        self.event = event


_SETTLED: Mapping[Event, None] = {Event.DELETE_REQUESTED: None}

# None: the job is gone.
TRANSITIONS: Mapping[Status, Mapping[Event, Status | None]] = {
    Status.STARTING: {
        Event.STARTED: Status.INPROGRESS,
        Event.STOP_REQUESTED: Status.STOPPING,
        Event.CLOUD_RESTARTED: Status.STARTING,
    },
    Status.INPROGRESS: {
        Event.COMPLETED: Status.COMPLETED,
        Event.FAILED: Status.FAILED,
        Event.STOP_REQUESTED: Status.STOPPING,
        Event.CLOUD_RESTARTED: Status.FAILED,
    },
    Status.STOPPING: {
        Event.STOPPED: Status.STOPPED,
        Event.COMPLETED: Status.COMPLETED,
        # Its output could not be delivered.
        Event.FAILED: Status.FAILED,
        Event.CLOUD_RESTARTED: Status.STOPPED,
    },
    # "You can delete a compilation job only if its current status is COMPLETED, FAILED, or STOPPED"
    # (botocore's page on DeleteCompilationJob).
    Status.COMPLETED: _SETTLED,
    Status.FAILED: _SETTLED,
    Status.STOPPED: _SETTLED,
}
SETTLED = frozenset((Status.COMPLETED, Status.FAILED, Status.STOPPED))


def next_status(status: Status, event: Event) -> Status | None:
    """Return the state that follows, None when the job is gone."""
    answers = TRANSITIONS[status]
    if event not in answers:
        raise IllegalTransitionError(status, event)
    return answers[event]
