"""What the end of a container's process means, decided without a process."""

import pytest

from windtunnel.core import limits
from windtunnel.serving.children import Reports
from windtunnel.serving.leader import GiveUp, Restart, Role, decide_death, describe_status


def nothing(reports: Reports, lifeline: int) -> int:
    del reports, lifeline
    return 0


def served(**state: object) -> Role:
    role = Role("model server 0", nothing, 0, is_available=True, was_available=True)
    for name, value in state.items():
        setattr(role, name, value)
    return role


def test_a_server_that_says_why_is_believed() -> None:
    """A model that cannot be loaded cannot be loaded a second later either."""
    assert decide_death(served(reason="bad model"), 1, 0.0) == GiveUp("bad model")


def test_a_server_that_never_served_ends_the_container() -> None:
    """A start that crashes is a failed start, with the signal as its reason."""
    role = Role("model server 0", nothing, 0)

    assert decide_death(role, -9, 0.0) == GiveUp(
        "The model server 0 ended while it started: killed by SIGKILL."
    )


def test_crashes_in_a_row_are_answered_ever_later() -> None:
    """A request that kills its server must not keep all cores busy with restarts."""
    role = served()
    delays = []
    for _ in range(20):
        decision = decide_death(role, -11, 1.0)
        assert isinstance(decision, Restart)
        delays.append(decision.delay_s)
        role.deaths_in_row = decision.deaths_in_row

    assert delays[:3] == [limits.RESTART_BACKOFF_FIRST_S * factor for factor in (1, 2, 4)]
    assert delays[-1] == limits.RESTART_BACKOFF_MAX_S
    assert delays == sorted(delays)


def test_a_worker_that_asked_to_be_replaced_has_not_crashed() -> None:
    """One request in ten that takes too long must not make the pauses grow to half a minute."""
    role = served(is_retired=True, deaths_in_row=5)

    assert decide_death(role, 1, 1.0) == Restart(limits.RESTART_BACKOFF_FIRST_S, 5)


def test_a_time_of_health_is_forgiving() -> None:
    """One crash a day is not a row of crashes."""
    role = served(deaths_in_row=10, available_since_s=0.0)

    assert decide_death(role, 1, limits.RESTART_FORGIVE_S) == Restart(
        limits.RESTART_BACKOFF_FIRST_S, 1
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (-15, "killed by SIGTERM"),
        (-99, "killed by signal 99"),
    ],
)
def test_an_end_is_described_in_words(status: int, expected: str) -> None:
    """The log is read by people."""
    assert describe_status(status) == expected
