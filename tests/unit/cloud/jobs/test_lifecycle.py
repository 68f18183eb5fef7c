"""The table of a compilation job's states."""

from itertools import product

import pytest

from windtunnel.cloud.gateway.shapes import load_service
from windtunnel.cloud.jobs.lifecycle import (
    SETTLED,
    TRANSITIONS,
    Event,
    IllegalTransitionError,
    Status,
    next_status,
)


def test_the_states_are_awss() -> None:
    """A client compares them with AWS's spelling."""
    enum = load_service("sagemaker").shape("CompilationJobStatus").enum

    assert enum is not None
    assert {str(status) for status in Status} == set(enum)
    assert set(TRANSITIONS) == set(Status)


@pytest.mark.parametrize(("status", "event"), list(product(Status, Event)))
def test_what_is_not_in_the_table_cannot_happen(status: Status, event: Event) -> None:
    """A new path needs a line in the table, where a reader looks for it."""
    if event in TRANSITIONS[status]:
        assert next_status(status, event) == TRANSITIONS[status][event]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{status} cannot take .*: {event}"):
            next_status(status, event)


def test_only_jobs_that_ended_can_be_deleted() -> None:
    """AWS's page on DeleteCompilationJob says so."""
    deletable = {status for status in Status if Event.DELETE_REQUESTED in TRANSITIONS[status]}

    assert deletable == SETTLED == {Status.COMPLETED, Status.FAILED, Status.STOPPED}


def test_a_restart_leaves_no_job_under_way_that_nobody_does() -> None:
    """A job that stays INPROGRESS for ever makes every waiter hang."""
    after = {answers[Event.CLOUD_RESTARTED] for status, answers in TRANSITIONS.items()
             if status not in SETTLED}  # fmt: skip

    assert after <= SETTLED | {Status.STARTING}
