"""Which policy is recommended, and what is said where it does not hold."""

from windtunnel.autoscaling.timeline import Outcome
from windtunnel.lab.simulation.recommendation import Objective, recommend
from windtunnel.lab.simulation.sweep import Played

ONE_PERCENT = Objective("over=1%", 0.01)


def _outcome(over: float, hours: float) -> Outcome:
    return Outcome(
        requests=1000.0,
        over=over,
        violation_s=60.0,
        length_s=86_400.0,
        instance_hours=hours,
        peak=3,
        changes=2,
    )


def _played(hours: float, fitted: float, rest: float | None) -> Played:
    kept = None if rest is None else _outcome(rest, hours)
    return Played(_outcome(fitted, 2 * hours), _outcome(fitted, hours), kept)


def test_where_the_choice_does_not_hold_the_cheapest_that_does_is_named() -> None:
    """Traffic grows: what was enough in the first weeks is not in the last."""
    found = recommend(
        [
            _played(40.0, fitted=2.0, rest=1.0),
            _played(10.0, fitted=9.0, rest=15.0),
            _played(30.0, fitted=1.0, rest=2.0),
            _played(20.0, fitted=5.0, rest=9.0),
            _played(15.0, fitted=20.0, rest=5.0),
        ],
        ONE_PERCENT,
    )

    assert (found.index, found.holds, found.safer) == (1, False, 3)
    assert "but it does not on the others: 1.5%" in found.sentence


def test_a_choice_that_holds_needs_no_safer_one() -> None:
    """Two answers to one question would be none."""
    found = recommend([_played(10.0, fitted=9.0, rest=9.0)], ONE_PERCENT)

    assert (found.index, found.holds, found.safer) == (0, True, None)


def test_where_none_holds_on_both_parts_none_is_named() -> None:
    """The least bad is no answer to an objective."""
    found = recommend([_played(10.0, fitted=9.0, rest=30.0)], ONE_PERCENT)

    assert (found.index, found.holds, found.safer) == (0, False, None)


def test_a_trace_too_short_to_be_split_holds_nothing_back() -> None:
    """Of one day nobody can say how the next will be."""
    found = recommend([_played(10.0, fitted=9.0, rest=None)], ONE_PERCENT)

    assert (found.index, found.holds, found.safer) == (0, None, None)
