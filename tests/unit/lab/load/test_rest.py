"""Waiting until an endpoint is idle."""

import pytest

from windtunnel.core.errors import WindtunnelError
from windtunnel.lab.load import rest as resting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the only number of a clock that passes when something waits."""
    now = [0.0]
    monkeypatch.setattr(resting, "perf_counter", lambda: now[0])

    def sleep(span_s: float) -> None:
        now[0] += span_s

    monkeypatch.setattr("windtunnel.lab.load.rest.time.sleep", sleep)
    return now


def test_it_waits_until_one_request_is_answered_as_if_alone(clock: list[float]) -> None:
    """The next step would measure the queue that the last one left."""
    waits_s = iter([8.0, 3.0, 0.03, 0.03])

    def invoke() -> None:
        clock[0] += next(waits_s)

    resting.rest(invoke, alone_s=0.02)

    assert list(waits_s) == [0.03]


def test_a_refusal_is_no_answer(clock: list[float]) -> None:
    """An endpoint that throttles answers fast, and is not idle."""
    answers: list[Exception | None] = [WindtunnelError("busy"), WindtunnelError("busy"), None]

    def invoke() -> None:
        if error := answers.pop(0):
            raise error

    resting.rest(invoke, alone_s=0.02)

    assert answers == []
    assert clock[0] > 0


def test_an_endpoint_that_never_rests_is_not_waited_for_for_ever(clock: list[float]) -> None:
    """Others may be using it: the search has to go on, and will find less."""

    def invoke() -> None:
        clock[0] += 5.0

    resting.rest(invoke, alone_s=0.02)

    assert 60 < clock[0] < 200
