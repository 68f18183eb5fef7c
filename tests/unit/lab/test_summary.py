"""What a run's requests come to."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.lab import plans

from windtunnel.lab import summary
from windtunnel.lab.load.arrivals import ListedArrivals
from windtunnel.lab.load.closed_schedule import closed_schedule
from windtunnel.lab.load.plan import Plan
from windtunnel.lab.measurement import Measurement, WorkerOutcome
from windtunnel.lab.objectives import parse_objective

Row = tuple[float, float, float, int]


def _plan(warmup_s: float = 1.0, duration_s: float = 10.0) -> Plan:
    return plans.plan(
        closed_schedule(users=2, spawn_rate_per_s=None, warmup_s=warmup_s, duration_s=duration_s)
    )


def _worker() -> WorkerOutcome:
    return WorkerOutcome(
        requests=0,
        end_s=11.0,
        users_peak=2,
        unanswered=0,
        is_full=False,
        cpu_share=0.1,
        loop_lag_s_p99=0.0,
    )


def _measurement(
    rows: Sequence[Row], kinds: Sequence[str] = (), payloads: Sequence[int] = ()
) -> Measurement:
    """Return a measurement of rows of due, sent, done and the number of their error."""
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return Measurement.of(
        {
            "due_s": table[:, 0],
            "sent_s": table[:, 1],
            "done_s": table[:, 2],
            "status": np.full(len(table), 200),
            "bytes": np.full(len(table), 10),
            "error": table[:, 3].astype(int),
            "worker": np.zeros(len(table), dtype=int),
            "payload": np.array(payloads or [0] * len(table)),
        },
        [_worker()],
        kinds=[(kind, f"example of {kind}") for kind in kinds],
        started_epoch_s=0.0,
    )


def _summarise(measurement: Measurement, *objectives: str) -> dict[str, object]:
    return summary.summarise(
        _plan(),
        measurement,
        hardware={"fidelity": "stand-in"},
        other_work_share=0.0,
        wanted=[parse_objective(text) for text in objectives],
    )


def test_latency_counts_from_due_and_service_from_sent() -> None:
    """Time spent waiting in our own generator is time the user waited."""
    found = _summarise(_measurement([(2.0, 2.5, 3.0, 0)]))

    assert found["latency_s"]["p50"] == pytest.approx(1.0)  # type: ignore[index]
    assert found["service_s"]["p50"] == pytest.approx(0.5)  # type: ignore[index]
    assert found["schedule_lag_s_p99"] == pytest.approx(0.5)
    assert found["valid"] is False


def test_the_warm_up_does_not_count_and_is_not_hidden() -> None:
    """First requests pay for connections and caches that the rest does not."""
    found = _summarise(_measurement([(0.5, 0.5, 0.9, 0), (2.0, 2.0, 2.1, 0)]))

    assert (found["requests"], found["warmup_requests"]) == (1, 1)
    assert found["latency_s"]["max"] == pytest.approx(0.1)  # type: ignore[index]


def test_a_request_due_in_time_counts_however_late_its_answer() -> None:
    """Leaving out what ends after the end leaves out the slowest."""
    found = _summarise(_measurement([(2.0, 2.0, 2.1, 0), (10.9, 10.9, 30.9, 0)]))

    assert found["requests"] == 2
    assert found["latency_s"]["max"] == pytest.approx(20.0)  # type: ignore[index]
    assert found["throughput_rps"] == pytest.approx(0.1)


def test_an_endpoint_that_goes_away_makes_the_run_invalid() -> None:
    """A rate averaged over a time without an endpoint is nobody's rate."""
    rows = [(2.0, 2.0, 2.1, 0), (2.1, 2.1, 4.0, 0), (4.0, 4.0, 4.1, 1), (10.0, 10.0, 10.1, 1)]

    found = _summarise(_measurement(rows, ["refused"]))
    back = _summarise(_measurement([*rows, (10.2, 10.2, 10.3, 0)], ["refused"]))

    # The endpoint's own slowest answers take 1.9 s: it was silent for longer than three of those.
    assert found["reasons"] == [
        "the endpoint stopped answering well 3 s into the 10 s that were measured"
    ]
    assert back["valid"] is True


def test_failed_requests_have_no_latency_but_count_against_objectives() -> None:
    """An endpoint that refuses quickly must not look fast."""
    rows = [(2.0, 2.0, 2.1, 0)] * 900 + [(2.0, 2.0, 2.001, 1)] * 100
    found = _summarise(_measurement(rows, ["refused"]), "p95=150ms", "errors=50%")

    assert found["failures"] == 100
    assert found["latency_s"]["p50"] == pytest.approx(0.1)  # type: ignore[index]
    outcomes = [verdict["outcome"] for verdict in found["objectives"]]  # type: ignore[attr-defined]
    assert outcomes == ["missed", "held"]
    assert found["errors"] == [{"kind": "refused", "count": 100, "example": "example of refused"}]


def test_an_invalid_run_has_no_verdict() -> None:
    """Its requests may all be fast because the generator was too slow to load the endpoint."""
    found = _summarise(_measurement([(2.0, 2.5, 2.6, 0)] * 900), "p95=5s")

    assert found["valid"] is False
    verdict = found["objectives"][0]  # type: ignore[index]
    assert (verdict["outcome"], verdict["requests"], verdict["over"]) == ("void", 900, 0)


def test_a_run_without_a_good_answer_has_no_percentiles() -> None:
    """A zero in their place would be the best latency ever measured."""
    found = _summarise(_measurement([(2.0, 2.0, 2.1, 1)], ["refused"]))

    assert found["latency_s"] == dict.fromkeys(["p50", "p90", "p95", "p99", "p99.9", "max"])


@given(
    values=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60),
    share=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_a_percentile_is_a_latency_that_was_measured(*, values: list[float], share: float) -> None:
    """The definition by counting is the oracle; interpolation would invent a latency."""
    found = summary.percentile(np.array(values), share)

    assert found == sorted(values)[math.ceil(share * len(values)) - 1]


def test_an_arrival_that_was_due_and_nowhere_is_to_be_found_voids_the_run() -> None:
    """Whatever a generator did not get to send was, if anything, the slowest."""
    rows = [(i / 2, i / 2, i / 2 + 0.1, 0) for i in range(22)]
    found = [
        summary.summarise(
            _plan(),
            _measurement(rows[:count]),
            hardware={},
            other_work_share=0.0,
            wanted=[],
            arrivals=ListedArrivals(np.array([row[0] for row in rows])),
        )
        for count in (22, 20)
    ]

    assert [each["reasons"] for each in found] == [[], ["2 arrivals were never sent"]]
    assert found[0]["arrivals"] == {"due": 20, "wanted_rps": 2.0, "dropped": 0, "connections": 0}


def test_a_dropped_arrival_is_no_request_and_no_failure() -> None:
    """It was never sent: the endpoint neither answered nor failed it, and the run is invalid."""
    nan = math.nan
    found = _summarise(_measurement([(2.0, 2.0, 2.5, 0), (3.0, nan, nan, 1)], ["dropped"]))

    assert (found["requests"], found["failures"]) == (1, 0)
    assert found["errors"] == []
    assert found["schedule_lag_s_p99"] == 0.0


def test_each_of_several_payloads_has_figures_of_its_own() -> None:
    """A large payload in twenty small ones is the whole p95, and the mean says nothing of it."""
    small, large = plans.facts(b"s", name="small"), plans.facts(b"large", name="large")
    plan = replace(_plan(), payloads=(small, large))
    measurement = _measurement(
        [(2.0, 2.0, 2.1, 0), (3.0, 3.0, 3.9, 0), (4.0, 4.0, 4.1, 1)], ["refused"], [0, 1, 0]
    )

    found = summary.summarise(plan, measurement, hardware={}, other_work_share=0.0, wanted=[])

    assert [
        (each["payload"], each["requests"], each["failures"], each["latency_s"]["p50"])
        for each in found["payloads"]
    ] == [("small", 2, 1, pytest.approx(0.1)), ("large", 1, 0, pytest.approx(0.9))]
