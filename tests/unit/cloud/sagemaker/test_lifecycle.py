"""The table of an endpoint's states."""

from itertools import product

import pytest

from windtunnel.cloud.gateway.shapes import load_service
from windtunnel.cloud.sagemaker.lifecycle import (
    TRANSITIONS,
    Event,
    IllegalTransitionError,
    Status,
    next_status,
)


def test_the_states_are_awss() -> None:
    """A client compares them with AWS's spelling."""
    enum = load_service("sagemaker").shape("EndpointStatus").enum

    assert enum is not None
    assert {str(status) for status in Status} <= set(enum)
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize(("status", "event"), list(product(Status, Event)))
def test_what_is_not_in_the_table_cannot_happen(status: Status, event: Event) -> None:
    """A new path needs a line in the table, where a reader looks for it."""
    if event in TRANSITIONS[status]:
        assert next_status(status, event) == TRANSITIONS[status][event]
    else:
        with pytest.raises(
            IllegalTransitionError, match=f"{status} cannot take the event: {event}"
        ):
            next_status(status, event)


def test_every_state_can_end() -> None:
    """An endpoint that nobody can delete would run for ever."""
    ends: set[Status | None] = {None}
    while True:
        more = {
            status
            for status, answers in TRANSITIONS.items()
            if status not in ends and ends & set(answers.values())
        }
        if not more:
            break
        ends |= more

    assert ends == {None, *Status}


def test_only_settled_states_can_be_deleted() -> None:
    """AWS refuses to delete what is in progress."""
    deletable = {status for status in Status if Event.DELETE_REQUESTED in TRANSITIONS[status]}

    assert deletable == {Status.IN_SERVICE, Status.FAILED}


def test_a_restart_never_claims_that_an_endpoint_is_in_service() -> None:
    """Right after a restart nothing answers yet."""
    after = {answers.get(Event.CLOUD_RESTARTED) for answers in TRANSITIONS.values()}

    assert Status.IN_SERVICE not in after
