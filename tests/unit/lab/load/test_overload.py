"""When a run is ended early because the endpoint fails under it."""

import math

import pytest

from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.overload import ServerErrorWatch, is_reached


def _tick(at_s: float, requests: int, server_errors: int, worker: int = 0) -> Tick:
    """Return what a worker tells of its last second."""
    return Tick(worker, at_s, 4, requests, server_errors, server_errors)


def test_a_run_goes_on_while_the_share_stays_below_the_limit() -> None:
    """Some 5xx are every endpoint's; an hour of measuring is not thrown away for them."""
    watch = ServerErrorWatch(0.05)

    said = [watch(_tick(second, 1000, 40)) for second in range(1, 100)]

    assert said == [None] * 99


def test_a_run_ends_when_the_share_is_reached_and_says_how_it_is_known() -> None:
    """Whoever finds the run ended wants the numbers, and the option that ended it."""
    watch = ServerErrorWatch(0.05)
    for second in range(1, 10):
        assert watch(_tick(second, 100, 0)) is None

    said = watch(_tick(10, 100, 60))

    assert said == (
        "stopped: 6% of the answers were 5xx (60 of the last 1,000, in 10 s); 5% is where "
        "--stop-on-5xx ends a run"
    )


def test_what_was_well_for_an_hour_does_not_hide_what_fails_now() -> None:
    """An average over the whole run would need minutes of outage to show it."""
    watch = ServerErrorWatch(0.05)
    for second in range(1, 3600):
        assert watch(_tick(second, 100, 0)) is None

    assert watch(_tick(3600, 100, 100)) is not None


def test_the_errors_of_all_load_processes_count_together() -> None:
    """With 60 processes each sees too few to say."""
    watch = ServerErrorWatch(0.05)

    said = [watch(_tick(1, 10, 1, worker)) for worker in range(60)]

    assert said[0] is None
    assert said[-1] is not None


def test_a_slow_endpoint_is_judged_by_more_than_the_last_seconds() -> None:
    """Of 3 answers in 10 s nothing follows; an endpoint that only fails is still found out."""
    watch = ServerErrorWatch(0.05)
    stopped = next(number for number in range(1, 100) if watch(_tick(3.0 * number, 1, 1)))

    assert stopped == 20


def test_a_models_own_5xx_count_though_their_answers_are_424s() -> None:
    """A container out of memory is the failure that a load test brings about most."""
    kinds = {
        "ModelError (424, the model answered 500)": 60,
        "ModelError (424, the model answered 400)": 500,
        "connection reset": 400,
    }

    said = ServerErrorWatch(0.05)(Tick(0, 1.0, 4, 1000, 960, errors=kinds))

    assert said is not None
    assert "(60 of the last 1,000" in said


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.1, 0.5, 1.0])
def test_with_enough_answers_the_limit_itself_is_enough(share: float) -> None:
    """5% is said, and 5% it is: a test that only ever finds 8% would not be the one promised."""
    count = math.ceil(15 / share)

    assert is_reached(math.ceil(share * count), count, share)
    assert not is_reached(math.ceil(share * count) - 1, count, share)


@pytest.mark.parametrize(("bad", "count"), [(0, 0), (1, 1), (3, 3), (4, 40), (10, 200)])
def test_a_few_errors_in_a_few_answers_end_nothing(bad: int, count: int) -> None:
    """Four users who meet one hiccup are four of four."""
    assert not is_reached(bad, count, 0.05)
