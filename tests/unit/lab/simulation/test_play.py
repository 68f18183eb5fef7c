"""A dry run from its parts: what is recommended, what it costs, what is written."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation import capacity, page, policies, result, traces
from windtunnel.lab.simulation.capacity import Capacity
from windtunnel.lab.simulation.play import play
from windtunnel.lab.simulation.result import Simulated

pytestmark = pytest.mark.slow

_METRIC = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Return a sweep over four days with a busy hour each."""
    tmp_path = tmp_path_factory.mktemp("play")
    return _play(tmp_path, grid=([15.0, 30.0, 45.0, 60.0], [60.0], [300.0]), objective="over=5%")


def _play(tmp_path: Path, capacity: Capacity | None = None, **more: Any) -> Simulated:
    rows = ["period,count"]
    for minute in range(4 * 1440):
        count = 20 + 200 * max(0.0, math.sin(2 * math.pi * minute / 1440)) ** 4
        rows.append(
            f"2024-01-{1 + minute // 1440:02} {minute // 60 % 24:02}:{minute % 60:02},{count}"
        )
    (tmp_path / "trace.csv").write_text("\n".join(rows))
    (tmp_path / "p.json").write_text(
        json.dumps({"TargetValue": 40, "PredefinedMetricSpecification": _METRIC})
    )
    found = capacity or Capacity(1.0, "given", "given")
    return play(
        "trace.csv",
        traces.read(tmp_path / "trace.csv"),
        found,
        Circumstances(found.rps, seed=1),
        [policies.read(tmp_path / "p.json", 1, 20, None)],
        processes=1,
        **more,
    )


def test_the_cheapest_policy_that_keeps_the_objective_is_recommended(simulated: Simulated) -> None:
    """On the days that choose; how it does on the others is said."""
    choice = simulated.recommendation

    assert choice is not None
    assert choice.index == simulated.shown
    fitted = [each.fitted for each in simulated.played]
    best = fitted[choice.index]
    assert best.share_over <= 0.05
    assert not any(
        each.share_over <= 0.05 and each.instance_hours < best.instance_hours for each in fitted
    )
    assert choice.kept == sum(each.share_over <= 0.05 for each in fitted)
    assert "on the others" in choice.sentence
    assert simulated.fitted_periods == 2 * 1440


def test_parts_of_the_trace_add_up_to_the_whole(simulated: Simulated) -> None:
    """Held-out days are neither counted twice nor lost."""
    for each in simulated.played:
        assert each.rest is not None
        assert each.fitted.requests + each.rest.requests == pytest.approx(each.whole.requests)
        assert each.fitted.instance_hours + each.rest.instance_hours == pytest.approx(
            each.whole.instance_hours
        )
        assert each.fitted.changes + each.rest.changes == each.whole.changes


def test_the_yardstick_is_on_days_that_chose_nothing(simulated: Simulated) -> None:
    """A ratio over the days it was fitted to would flatter."""
    assert simulated.yardstick.is_held_out
    assert simulated.yardstick.ratio >= 1
    rest = simulated.played[simulated.shown].rest
    assert rest is not None
    assert simulated.yardstick.over <= rest.over


def test_a_trace_that_begins_in_the_middle_of_a_day_is_no_sudden_rise(tmp_path: Path) -> None:
    """As many as the policy would keep at first: a little over 20 a minute at 40 and at 5."""
    found = _play(tmp_path, grid=([5.0], [60.0], [300.0]))

    assert [each.setup.initial for each in found.asked] == [1, 5]


def _begun(
    tmp_path: Path, words: dict[str, Any], *, per_minute: int, service_s: float | None = None
) -> Simulated:
    """Return a dry run of half an hour of even traffic."""
    rows = [f"2024-01-01 00:{minute:02},{per_minute}" for minute in range(30)]
    (tmp_path / "even.csv").write_text("\n".join(["period,count", *rows]))
    (tmp_path / "even.json").write_text(json.dumps(words))
    return play(
        "even.csv",
        traces.read(tmp_path / "even.csv"),
        Capacity(10.0, "given", "given"),
        Circumstances(10.0, service_s=service_s),
        [policies.read(tmp_path / "even.json", 1, 20, None)],
        processes=1,
    )


def _steps(**alarm: Any) -> dict[str, Any]:
    step = {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}
    return {
        "ScalingPolicies": [
            {
                "PolicyName": "out",
                "StepScalingPolicyConfiguration": {
                    "AdjustmentType": "ChangeInCapacity",
                    "StepAdjustments": [step],
                },
            }
        ],
        "MetricAlarms": [
            {
                "AlarmName": "busy",
                "AlarmActions": ["out"],
                "Namespace": "AWS/SageMaker",
                "MetricName": "InvocationsPerInstance",
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 300,
                "ComparisonOperator": "GreaterThanThreshold",
                **alarm,
            }
        ],
    }


def test_a_policy_on_concurrency_begins_with_what_it_would_keep(tmp_path: Path) -> None:
    """25 come a second and stay for one: 25 at once, 5 an instance."""
    metric = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    words = {
        "TargetValue": 5,
        "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
    }
    found = _begun(tmp_path, words, per_minute=1500, service_s=1.0)

    assert found.asked[0].setup.initial == 5
    assert found.played[0].whole.changes == 0


@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        ({}, 5),
        ({"ComparisonOperator": "GreaterThanOrEqualToThreshold"}, 6),
        ({"Period": 300, "Threshold": 1500}, 5),
        ({"Threshold": 310}, 5),
        ({"Threshold": 20}, 20),
        (
            {
                "MetricName": "ConcurrentRequestsPerModel",
                "Statistic": "Average",
                "Period": 10,
                "Threshold": 4,
            },
            7,
        ),
    ],
)
def test_step_policies_begin_where_none_of_them_adds_anything(
    tmp_path: Path, alarm: dict[str, Any], expected: int
) -> None:
    """1,500 a minute: no more than 300 each are 5, fewer than 300 are 6; the maximum is 20."""
    found = _begun(tmp_path, _steps(**alarm), per_minute=1500, service_s=1.0)

    assert found.asked[0].setup.initial == expected
    assert found.played[0].whole.changes == 0
    assert found.warnings == ()


def test_where_the_metric_does_not_tell_a_policy_begins_with_the_minimum_and_says_so(
    tmp_path: Path,
) -> None:
    """All requests of an endpoint are as many, however many instances there are."""
    found = _begun(tmp_path, _steps(MetricName="Invocations"), per_minute=1500)

    assert found.asked[0].setup.initial is None
    assert found.warnings == (
        "out: it begins with its minimum of 1, because how many instances it would keep does not "
        "follow from its metrics",
    )


def test_a_sweep_of_several_files_says_which_is_varied_and_names_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who gave two expects both to be."""
    monkeypatch.chdir(tmp_path)
    words = json.dumps({"TargetValue": 40, "PredefinedMetricSpecification": _METRIC})
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "policy.json").write_text(words)
    Path("even.csv").write_text("period,count\n2024-01-01 00:00,1\n2024-01-01 00:01,1")
    found = play(
        "even.csv",
        traces.read(Path("even.csv")),
        Capacity(1.0, "given", "given"),
        Circumstances(1.0),
        [policies.read(Path(name, "policy.json"), 1, 20, None) for name in ("a", "b")],
        grid=([30.0], [0.0], [0.0]),
        processes=1,
    )

    assert [each.setup.name for each in found.asked] == [
        "a/policy",
        "b/policy",
        "target 30, cooldowns 0/0 s",
    ]
    assert found.warnings == ("a/policy: only this policy, the first, is varied",)


def test_an_objective_that_nothing_keeps_recommends_nothing(tmp_path: Path) -> None:
    """The least bad is named, not praised."""
    half = Capacity(0.5, "given", "given")
    found = _play(tmp_path, half, grid=([60.0], None, None), objective="over=0%")

    assert found.recommendation is not None
    assert found.recommendation.index is None
    assert "none of" in found.recommendation.sentence
    assert found.shown == 0


def test_a_stand_ins_hours_are_never_turned_into_dollars(tmp_path: Path) -> None:
    """This machine is no ml.m5.large."""
    stand_in = _play(tmp_path, Capacity(1.0, "a run", "stand-in"), instance_type="ml.m5.large")
    given = _play(tmp_path, instance_type="ml.m5.large")
    hours = given.played[0].whole.instance_hours

    assert stand_in.rate.usd(hours) is None
    assert "relative" in stand_in.rate.remark
    assert given.rate.usd(hours) == pytest.approx(0.115 * hours)
    unknown = _play(tmp_path, instance_type="ml.nope.large")
    assert unknown.rate.usd(hours) is None
    assert "not known" in unknown.rate.remark


def test_all_is_written_and_the_policy_is_the_recommended_one(
    simulated: Simulated, tmp_path: Path
) -> None:
    """A directory that a script, a spreadsheet and a person can read."""
    out = tmp_path / "out"
    result.prepare(out)
    kept = result.record(simulated)
    result.write(simulated, kept, page.render(simulated), out)
    written = json.loads((out / "result.json").read_text())
    policy = json.loads((out / "policy.json").read_text())
    lines = (out / "timeline.csv").read_text().splitlines()

    assert written == kept
    assert written["clock"] == "simulated"
    assert policy == written["policies"][written["recommended"]["policy"]]["boto3"]
    assert len(lines) == 1 + 4 * 1440
    assert lines[0] == "period,requests,capacity,serving,paid_for"
    assert len(written["shown"]["changes"]) == simulated.played[simulated.shown].whole.changes
    html = (out / "report.html").read_text()
    assert "clock simulated" in html
    assert "a clairvoyant" in html
    assert html.count('class="plot"') == 2
    with pytest.raises(UsageError, match="not empty"):
        result.prepare(out)


def test_two_processes_come_to_what_one_comes_to(tmp_path: Path, simulated: Simulated) -> None:
    """How it is computed changes nothing."""
    from windtunnel.lab.simulation import sweep

    setups = [each.setup for each in simulated.asked]
    told: list[int] = []
    found = list(
        sweep._results(
            setups, (simulated.demand, simulated.circumstances, simulated.fitted_periods), 2
        )
    )
    sweep.play(
        setups[:2],
        simulated.demand,
        simulated.circumstances,
        fitted_periods=simulated.fitted_periods,
        processes=2,
        on_done=told.append,
    )

    assert found == list(simulated.played)
    assert told == [1, 2]


@pytest.mark.parametrize("text", ["p95=1s", "over", "over=1", "over=101%", "over=-1%"])
def test_an_objective_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """`over=1` is not one percent."""
    with pytest.raises(UsageError):
        _play(tmp_path, objective=text)


def _run(tmp_path: Path, **changes: Any) -> Path:
    summary = {
        "throughput_rps": 30.0,
        "valid": True,
        "service_s": {"p50": 0.1},
        "hardware": {"instances": "2 x ml.c5.xlarge", "fidelity": "measured"},
        **changes,
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def test_a_load_runs_capacity_is_per_instance_with_what_it_may_be_called(tmp_path: Path) -> None:
    """Two instances that do 30 together do 15 each."""
    single = capacity.of_run(_run(tmp_path))
    search = capacity.of_run(_run(tmp_path, capacity={"rate_rps": 50.0}))

    assert (single.rps, single.fidelity, single.service_s) == (15, "measured", 0.1)
    assert "lower bound" in single.source
    assert search.rps == 25
    assert "a search for capacity" in search.source


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity": {"rate_rps": None}},
        {"valid": False},
        {"hardware": None},
        {"throughput_rps": None},
    ],
)
def test_a_run_that_found_no_capacity_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A simulation on a guess nobody made would look like a measurement."""
    with pytest.raises(UsageError):
        capacity.of_run(_run(tmp_path, **changes))
    with pytest.raises(UsageError, match="cannot be read"):
        capacity.of_run(tmp_path / "nowhere.json")


def test_a_price_that_the_user_gives_turns_hours_into_dollars(tmp_path: Path) -> None:
    """Few prices are known here, and none of a contract's."""
    found = _play(tmp_path, price=2.0)

    assert found.rate.usd(10.0) == 20.0
    with pytest.raises(UsageError, match="not above 0"):
        _play(tmp_path, price=-1.0)
