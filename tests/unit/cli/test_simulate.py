"""`windtunnel simulate` from the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from windtunnel.autoscaling.decider import Bounds
from windtunnel.autoscaling.timeline import Demand
from windtunnel.cli.main import app
from windtunnel.cli.simulate import policies_of
from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation.history import History
from windtunnel.lab.simulation.traces import ReadTrace

pytestmark = pytest.mark.slow

_POLICY = {
    "TargetValue": 30,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return the words of a dry run over two hours with a burst in them."""
    rows = ["period,count"] + [
        f"2024-01-01 {minute // 60:02}:{minute % 60:02},{120 if 30 <= minute < 60 else 10}"
        for minute in range(120)
    ]
    (tmp_path / "trace.csv").write_text("\n".join(rows))
    (tmp_path / "follow.json").write_text(json.dumps(_POLICY))
    return [
        *("simulate", "--policy", str(tmp_path / "follow.json")),
        *("--trace", str(tmp_path / "trace.csv"), "--capacity-rps", "1", "--max", "8"),
        *("--metric-delay", "120s", "--start-up", "5m", "--removal", "60s"),
    ]


def _run(words: list[str]) -> Result:
    return CliRunner().invoke(app, words)


def _json(words: list[str]) -> dict[str, Any]:
    done = _run([*words, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_burst_is_followed_and_every_decision_says_why(words: list[str]) -> None:
    """The burst begins at 00:30; three minutes, two of delay: 00:35, and five until it serves."""
    found = _json(words)
    first, *_ = found["shown"]["changes"]

    assert first["at"] == "2024-01-01T00:35:00Z"
    assert first["fulfilled_at"] == "2024-01-01T00:40:00Z"
    assert (first["from"], first["to"]) == (1, 4)
    assert first["cause"].startswith("monitor alarm TargetTracking-")
    assert first["because"] == "1 x 120 / 30 asks for 4"
    outcome = found["policies"][0]["outcome"]
    # Ten minutes of 120 where one instance does 60.
    assert outcome["over_capacity"] == 600
    assert outcome["violation_s"] == 600


def test_a_sweep_recommends_and_is_written_where_it_is_asked(
    words: list[str], tmp_path: Path
) -> None:
    """The whole way from files to a page."""
    out = tmp_path / "out"
    done = _run(
        [*words, "--sweep", "--targets", "20,40", "--objective", "over=20%", "--out", str(out)]
    )

    assert done.exit_code == 0, done.output
    assert "clock     simulated" in done.stdout
    assert "choice    " in done.stdout
    assert {each.name for each in out.iterdir()} == {
        "result.json",
        "policy.json",
        "timeline.csv",
        "report.html",
    }


def test_the_endpoint_is_in_the_words_for_boto3(words: list[str]) -> None:
    """`--endpoint unet` is its variant AllTraffic."""
    found = _json([*words, "--endpoint", "unet"])
    policy = found["policies"][0]["boto3"]["ScalingPolicies"][0]

    assert policy["ResourceId"] == "endpoint/unet/variant/AllTraffic"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--capacity-from", "somewhere"], "once"),
        (["--metric-delay", "soon"], "not a length of time"),
        (["--start-up", "9m-3m"], "not a range"),
        (["--targets", "a"], "not a list of numbers"),
        (["--out-cooldowns", "-5"], "makes no sense"),
        (["--objective", "p95=1s"], "over=1%"),
        (["--policy", "nowhere.json"], "cannot be read"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(
    words: list[str], more: list[str], sentence: str
) -> None:
    """Before anything is played."""
    done = _run([*words, *more])

    assert isinstance(done.exception, UsageError)
    assert sentence in str(done.exception)


def test_a_sources_range_is_shown_beside_what_the_user_gave(words: list[str]) -> None:
    """Nobody takes a drawn number for AWS's promise."""
    found = _json([word for word in words if word not in {"--start-up", "5m"}])["circumstances"]

    assert "AWS's blog" in found["start_up"]["source"]
    assert found["metric_delay"] == {"low_s": 120, "high_s": 120, "source": "--metric-delay"}


@pytest.mark.parametrize(
    ("without", "more", "sentence"),
    [
        ("--trace", [], "where the traffic is from"),
        ("", ["--from-endpoint", "unet"], "where the traffic is from"),
        ("--policy", [], "which policy"),
        ("", ["--verify"], "--verify needs"),
    ],
)
def test_a_dry_run_says_what_it_is_missing(
    words: list[str], without: str, more: list[str], sentence: str
) -> None:
    """One source of traffic, and a policy unless the endpoint has its own."""
    if without:
        at = words.index(without)
        words = words[:at] + words[at + 2 :]
    done = _run([*words, *more])

    assert isinstance(done.exception, UsageError)
    assert sentence in str(done.exception)


def test_a_target_that_can_do_nothing_is_warned_of(words: list[str]) -> None:
    """30 a minute of the 1.2 that an instance can do is never reached before it drowns."""
    small = [*words]
    small[small.index("--capacity-rps") + 1] = "0.02"

    assert "or never" in _json(small)["warnings"][0]
    assert _json(words)["warnings"] == []


def test_an_endpoints_own_policies_are_played_from_what_it_began_with() -> None:
    """Where no file is given; without any policy there is nothing to play."""
    put = {"PolicyName": "own", "TargetTrackingScalingPolicyConfiguration": _POLICY}
    target = {"MinCapacity": 1, "MaxCapacity": 6}
    trace = ReadTrace(Demand(0.0, 60, np.zeros(3)))
    known = {"ScalableTargets": [target], "ScalingPolicies": [put], "ScheduledActions": []}
    (asked,) = policies_of(History(trace, (), 3, known), [], "endpoint e", (None, None), None)

    assert (asked.setup.initial, asked.setup.bounds) == (3, Bounds(1, 6))
    assert asked.setup.tracking[0].name == "own"
    nothing = {**known, "ScalingPolicies": []}
    with pytest.raises(UsageError, match="has no scaling policy"):
        policies_of(History(trace, (), 3, nothing), [], "endpoint e", (None, None), None)
