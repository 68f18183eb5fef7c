r"""Which states an endpoint goes through.

Rule 1: every transition is in the table; what is not in it cannot happen, and raises one kind of
error that names the state and the event. Rule 2: nothing here starts, stores or answers anything.

    CreateEndpoint -> Creating -> InService -> Deleting -> (gone)
                             \-> Failed ------/
    UpdateEndpoint: InService -> Updating -> InService, with the new config or, failed, the old
    UpdateEndpointWeightsAndCapacities: InService -> Updating -> InService
                                                            \-> RollingBack -> InService
    the cloud starts again: InService -> SystemUpdating -> InService, or Failed

What the states mean is said on botocore's page on DescribeEndpoint, `EndpointStatus`. "Creating",
"Updating", "RollingBack" and "Deleting" are taken up again where a cloud that ended left them.
AWS has OutOfService and UpdateRollbackFailed too: here a fleet that serves goes on serving whatever
becomes of a change, and one that is gone is Failed, so that nothing ends in them.
"""

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """A state, in AWS's spelling."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    FAILED = "Failed"
    DELETING = "Deleting"


class Event(StrEnum):
    """Something that happens to an endpoint."""

    ALL_STARTED = "all started"
    START_FAILED = "start failed"
    CLOUD_RESTARTED = "cloud restarted"
    RECOVERED = "recovered"
    UPDATE_REQUESTED = "update requested"
    UPDATED = "updated"
    UPDATE_FAILED = "update failed"
    CAPACITY_FAILED = "capacity failed"
    ROLLED_BACK = "rolled back"
    DELETE_REQUESTED = "delete requested"
    DELETED = "deleted"


class IllegalTransitionError(Exception):
    """An event that a state has no answer to."""

    def __init__(self, status: Status, event: Event) -> None:
        super().__init__(f"An endpoint that is {status} cannot take the event: {event}.")
        self.status = status
        self.event = event


# None: the endpoint is gone.
TRANSITIONS: Mapping[Status, Mapping[Event, Status | None]] = {
    Status.CREATING: {
        Event.ALL_STARTED: Status.IN_SERVICE,
        Event.START_FAILED: Status.FAILED,
        Event.CLOUD_RESTARTED: Status.CREATING,
    },
    Status.IN_SERVICE: {
        Event.CLOUD_RESTARTED: Status.SYSTEM_UPDATING,
        Event.UPDATE_REQUESTED: Status.UPDATING,
        Event.DELETE_REQUESTED: Status.DELETING,
    },
    Status.SYSTEM_UPDATING: {
        Event.RECOVERED: Status.IN_SERVICE,
        Event.START_FAILED: Status.FAILED,
        Event.CLOUD_RESTARTED: Status.SYSTEM_UPDATING,
    },
    Status.UPDATING: {
        Event.UPDATED: Status.IN_SERVICE,
        # The old fleet goes on serving.
        Event.UPDATE_FAILED: Status.IN_SERVICE,
        # "RollingBack: Endpoint fails to scale up or down or change its variant weight".
        Event.CAPACITY_FAILED: Status.ROLLING_BACK,
        # After a restart of the cloud, when neither the old nor the new came up.
        Event.START_FAILED: Status.FAILED,
        Event.CLOUD_RESTARTED: Status.UPDATING,
    },
    Status.ROLLING_BACK: {
        Event.ROLLED_BACK: Status.IN_SERVICE,
        Event.START_FAILED: Status.FAILED,
        Event.CLOUD_RESTARTED: Status.ROLLING_BACK,
    },
    # "DeleteEndpoint is the only operation that can be performed on a failed endpoint."
    Status.FAILED: {
        Event.DELETE_REQUESTED: Status.DELETING,
        Event.CLOUD_RESTARTED: Status.FAILED,
    },
    Status.DELETING: {
        Event.DELETED: None,
        Event.CLOUD_RESTARTED: Status.DELETING,
    },
}


def next_status(status: Status, event: Event) -> Status | None:
    """Return the state that follows, None when the endpoint is gone."""
    answers = TRANSITIONS[status]
    if event not in answers:
        raise IllegalTransitionError(status, event)
    return answers[event]
