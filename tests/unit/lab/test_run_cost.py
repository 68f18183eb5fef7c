"""What a person is told a run costs, and the limit that it is held to."""

import pytest

from windtunnel.aws.prices import Price
from windtunnel.core.errors import UsageError
from windtunnel.lab.cost import Cost
from windtunnel.lab.run_cost import RunCost

_KNOWN = Cost("ml.m5.xlarge", 2, Price(0.9, "AWS's price list, asked now"))
_UNKNOWN = Cost("ml.x9.large", 1, None, "AWS's price list has no one price for it")


def test_the_wait_for_the_last_answers_is_paid_for_like_the_load() -> None:
    """A short run against a slow endpoint is mostly waiting."""
    cost = RunCost((_KNOWN,), 100.0)

    assert cost.usd == pytest.approx(2 * 0.9 * (100 + 80) / 3600)
    assert cost.sentences() == [
        "2 x ml.m5.xlarge cost $1.80 an hour (AWS's price list, asked now), about $0.09 for 3 m, "
        "used or not",
        "that is 1 m 40 s of load and up to 1 m 20 s until the last request is answered; data and "
        "tax come on top",
    ]


def test_all_variants_are_paid_for() -> None:
    """An endpoint under an A/B test has two fleets."""
    assert RunCost((_KNOWN, _KNOWN), 100.0).usd == pytest.approx(0.18)


def test_a_run_that_costs_what_it_may_is_not_refused() -> None:
    """A limit that refuses what keeps it is switched off."""
    RunCost((_KNOWN,), 100.0).check(0.09)


def test_a_run_that_costs_more_is_refused_with_both_numbers() -> None:
    """How far it is off says whether to shorten the run or to raise the limit."""
    with pytest.raises(UsageError, match=r"likely to cost \$0\.09, and --max-cost allows \$0\.05"):
        RunCost((_KNOWN,), 100.0).check(0.05)


def test_a_limit_is_not_held_by_a_price_that_nobody_knows() -> None:
    """To let it through would be to take an unknown price for none."""
    with pytest.raises(UsageError) as refused:
        RunCost((_KNOWN, _UNKNOWN), 100.0).check(1000.0)

    said = str(refused.value)
    assert "The price of ml.x9.large is unknown" in said
    assert "leave --max-cost out" in said
