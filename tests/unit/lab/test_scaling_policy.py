"""What target a policy should have, and what is warned of."""

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab.endpoint import Endpoint, Variant
from windtunnel.lab.scaling_policy import (
    Wanted,
    alarm_sentences,
    proposed,
    rivals,
    variant_of,
    warnings,
    words_for,
)
from windtunnel.lab.simulation.capacity import Capacity, given

_WANTED = Wanted(1, 4, 300, 300)
_MEASURED = Capacity(104.0, "runs/a", "measured")


def test_the_proposal_is_awss_formula_and_shows_it() -> None:
    """MAX_RPS x SAFETY_FACTOR x 60: the workshop's 104 a second should have had 3,120, not 10."""
    found = proposed(_MEASURED, 0.5)

    assert found.value == 3120.0
    assert found.arithmetic == (
        "104 requests/s x 0.5 x 60 = 3120 a minute and instance (requests/s from runs/a; measured)"
    )


def test_a_warped_minute_has_fewer_invocations() -> None:
    """Counts are not multiplied: the same rate is a sixth of it in ten seconds."""
    found = proposed(_MEASURED, 0.5, warp=6.0)

    assert found.value == 520.0
    assert "; at clock x6 a minute is 10 s: 520 (" in found.arithmetic


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.5])
def test_a_safety_factor_is_a_share(factor: float) -> None:
    """50 is not 50%."""
    with pytest.raises(UsageError, match="--safety-factor"):
        proposed(_MEASURED, factor)


@pytest.mark.parametrize(
    ("value", "capacity", "said"),
    [
        (
            10.0,
            _MEASURED,
            "its target of 10 is 0.16% of the 6240 that an instance can do: with any",
        ),
        (10.0, None, "its target of 10 is one request every 6 s for each instance"),
        (6240.0, _MEASURED, "its target of 6240 is not below the 6240 that an instance can do"),
        (9000.0, _MEASURED, "its target of 9000 is not below"),
    ],
)
def test_a_target_that_always_or_never_fires_is_warned_of(
    value: float, capacity: Capacity | None, said: str
) -> None:
    """boto3 takes both without a word (boto/boto3#2839)."""
    found = list(warnings(_WANTED, value, capacity))

    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_target_that_makes_sense_is_not_warned_of() -> None:
    """Who is warned of everything reads nothing."""
    assert list(warnings(_WANTED, 3120.0, _MEASURED)) == []
    assert list(warnings(_WANTED, 3120.0, None)) == []
    assert list(warnings(_WANTED, 52.0, _MEASURED, warp=60.0)) == []


def test_bounds_that_leave_nothing_to_do_are_warned_of() -> None:
    """And so are a minimum of 0 and a stand-in's capacity."""
    found = list(warnings(Wanted(0, 0 + 1, 1, 1), 300.0, Capacity(10.0, "r", "stand-in")))
    same = list(warnings(Wanted(2, 2, 1, 1), 300.0, given(10.0)))

    assert found[0] == "--min 0 is taken, but a real-time variant keeps one instance"
    assert found[1].startswith("the capacity is a stand-in's on this machine")
    assert same == ["between 2 and 2 there is nothing to scale"]


@pytest.mark.parametrize(("low", "high"), [(-1, 4), (0, 0), (5, 4)])
def test_bounds_that_are_none_are_refused_before_any_call(low: int, high: int) -> None:
    """A typo costs no call."""
    with pytest.raises(UsageError, match="--min"):
        Wanted(low, high, 1, 1).check()


def test_other_policies_of_the_variant_are_named() -> None:
    """Another policy's lower target goes on deciding, and then this one seems not to work."""
    found = words_for("endpoint/e/variant/v", _WANTED, 15.0)["ScalingPolicy"]
    steps = {"PolicyName": "steps", "PolicyType": "StepScaling"}
    name = _WANTED.policy_name
    told = list(rivals([found, {**found, "PolicyName": "tt"}, steps], name))

    assert told[0].startswith("the policy tt follows SageMakerVariantInvocationsPerInstance, too:")
    assert told[0].endswith("Change it with --policy-name tt, or delete it")
    assert told[1].startswith("the variant has other policies, too: steps.")
    assert list(rivals([found], name)) == []


def _variant(name: str) -> Variant:
    return Variant(name, "ml.m5.large", 1, "m", "i", "", {})


def test_the_variant_is_the_only_one_or_the_one_that_is_named() -> None:
    """With two of them a guess would scale the wrong one."""
    one = Endpoint("e", "arn", "InService", "c", (_variant("a"),))
    two = Endpoint("e", "arn", "InService", "c", (_variant("a"), _variant("b")))

    assert variant_of(one, None).name == "a"
    assert variant_of(two, "b").name == "b"
    with pytest.raises(UsageError, match="variants a, b: say --variant"):
        variant_of(two, None)
    with pytest.raises(UsageError, match="has no variant c"):
        variant_of(two, "c")


def test_the_words_are_boto3s() -> None:
    """What is registered can be put into a script as it is printed."""
    words = words_for("endpoint/e/variant/v", Wanted(1, 4, 30, 500), 70.0)

    assert words["ScalableTarget"]["MaxCapacity"] == 4
    configuration = words["ScalingPolicy"]["TargetTrackingScalingPolicyConfiguration"]
    assert configuration["TargetValue"] == 70.0
    assert (configuration["ScaleOutCooldown"], configuration["ScaleInCooldown"]) == (30, 500)
    assert list(alarm_sentences(70.0, is_in_disabled=False)) == [
        "out: above 70 in 3 minutes in a row",
        "in: below 63 in 15 minutes in a row",
    ]
    assert len(list(alarm_sentences(70.0, is_in_disabled=True))) == 1
