"""Plans: their defaults, and the nonsense they refuse."""

import dataclasses
from pathlib import Path

import pytest
from tests.unit.lab import plans

from windtunnel.aws import sigv4
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.closed_schedule import closed_schedule
from windtunnel.lab.load.outlets import Outlets
from windtunnel.lab.load.plan import (
    Listening,
    Orders,
    PayloadFacts,
    Plan,
    check_processes,
    read_bodies,
    write_bodies,
)
from windtunnel.lab.payload import read_payload


def _plan(path: Path) -> Plan:
    payload = read_payload(path)
    return plans.plan(
        closed_schedule(users=4, spawn_rate_per_s=None, warmup_s=None, duration_s=10),
        payloads=(PayloadFacts.of(payload),),
        objectives=("p95=150ms",),
    )


def test_counting_starts_after_the_last_user_did() -> None:
    """The workshop's run never reached its 240 users: a minute of ramp counted as the result."""
    slow = closed_schedule(users=240, spawn_rate_per_s=10, warmup_s=None, duration_s=60)
    fast = closed_schedule(users=240, spawn_rate_per_s=None, warmup_s=None, duration_s=60)

    assert slow.ramp_s == pytest.approx(23.0)
    assert slow.warmup_s == pytest.approx(24.0)
    assert (fast.ramp_s, fast.warmup_s) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("users", "start"),
    [
        (1, "1 user, who sends the next request when the last one is answered; 1 s of warm-up"),
        (4, "4 users, started all at once; each sends the next request when the last one is"),
    ],
)
def test_a_schedule_reads_as_a_sentence(users: int, start: str) -> None:
    """It is what a person checks before the run."""
    schedule = closed_schedule(users=users, spawn_rate_per_s=None, warmup_s=None, duration_s=10)

    assert schedule.sentence().startswith(start)


def test_users_that_would_never_all_run_are_refused() -> None:
    """240 users at one a second do not fit into a minute."""
    with pytest.raises(UsageError, match="--spawn-rate"):
        closed_schedule(users=240, spawn_rate_per_s=1, warmup_s=0, duration_s=60)


@pytest.mark.parametrize(
    ("users", "rate", "duration_s"), [(0, None, 1.0), (1, 0.0, 1.0), (1, -1.0, 1.0), (1, None, 0.0)]
)
def test_a_schedule_without_load_is_refused(
    users: int, rate: float | None, duration_s: float
) -> None:
    """It would measure nothing and say that all was well."""
    with pytest.raises(UsageError):
        closed_schedule(users=users, spawn_rate_per_s=rate, warmup_s=None, duration_s=duration_s)


@pytest.mark.parametrize(("processes", "users"), [(0, 4), (5, 4), (257, 1000)])
def test_processes_without_users_are_refused(processes: int, users: int) -> None:
    """A process without users counts as a worker that does nothing."""
    with pytest.raises(UsageError):
        check_processes(processes, users)


def test_more_users_than_a_process_may_have_connections_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They would come back as thousands of `Too many open files`, in the name of the endpoint."""
    monkeypatch.setattr("resource.getrlimit", lambda _which: (256, 1024))

    check_processes(2, 1900)
    with pytest.raises(UsageError, match="ulimit -n"):
        check_processes(1, 1000)


def test_what_will_be_sent_is_said_whole(payload_file: Path) -> None:
    """A person must be able to see a wrong payload before a minute of load, not after."""
    text = "\n".join(_plan(payload_file).lines())

    for word in ("unet", "27 bytes", "application/json", "4 users", "10 s", "p95=150ms"):
        assert word in text


def test_orders_survive_their_way_to_a_load_process(payload_file: Path) -> None:
    """Every process of a run must do exactly the same."""
    orders = Orders(
        _plan(payload_file),
        sigv4.Credentials("AKID", "secret", "token"),
        "/tmp/x",
        Listening("127.0.0.1", 0, 60.0),
        Outlets(csv_prefix="results"),
    )

    assert Orders.from_text(orders.to_text()) == orders


def test_what_is_sent_is_what_was_checked(tmp_path: Path) -> None:
    """A file that changes between the question and the answer must not change the run."""
    bodies = [b"first", b"", b"the third"]
    write_bodies(tmp_path, bodies)

    assert read_bodies(tmp_path, [plans.facts(body) for body in bodies]) == bodies


def test_the_plan_kept_beside_the_results_holds_no_secret(payload_file: Path) -> None:
    """Run directories are attached to tickets."""
    names = {field.name for field in dataclasses.fields(_plan(payload_file))}

    assert not names & {"credentials", "secret_access_key", "session_token"}
