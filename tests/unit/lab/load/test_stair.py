"""A whole search for capacity on simulated queues, whose capacity is known on paper."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tests.unit.lab import plans

from windtunnel.lab import checks
from windtunnel.lab.load import arrivals, stair
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.load.plan import Schedule
from windtunnel.lab.load.run import LoadRun
from windtunnel.lab.measurement import Floats, Measurement, WorkerOutcome
from windtunnel.lab.objectives import parse_objective
from windtunnel.lab.run_directory import RunDirectory
from windtunnel.lab.summary import summarise

# The report carries Plotly's script.
pytestmark = pytest.mark.slow

_SERVICE_S = 0.02
_HARDWARE = {
    "fidelity": "stand-in",
    "instances": "ml.c5.large (stand-in: 2 of 2 vCPU)",
    "cpu_model": "none",
    "cpu_count": 2,
    "cpu_count_usable": 2,
    "instruction_sets": ["avx2"],
    "memory_bytes": 1,
}


@dataclass
class Cloud:
    """A world in which every run takes no time: one server, and a generator with a limit."""

    service_s: float = _SERVICE_S
    objectives: tuple[str, ...] = ()
    # From this rate on requests leave late.
    generator_rps: float = 1e9
    # So many runs end well; in the next one Ctrl-C comes.
    interrupted_at: int = 1000
    is_failing: bool = False
    runs: list[tuple[Schedule, int]] = field(default_factory=list)
    invoked: int = 0

    def invoke(self) -> None:
        self.invoked += 1

    def prepare(self, schedule: Schedule, directory: RunDirectory, processes: int) -> LoadRun:
        directory.prepare()
        return cast("LoadRun", (schedule, directory, processes))

    def carry_out(self, run: LoadRun, watch: stair.Watch) -> dict[str, Any]:
        schedule, directory, processes = cast("tuple[Schedule, RunDirectory, int]", run)
        self.runs.append((schedule, processes))
        plan = plans.plan(schedule, processes=processes, objectives=self.objectives)
        is_interrupted = len(self.runs) > self.interrupted_at
        due_s, sent_s = self._sent(schedule)
        done_s = _queue(sent_s, self.service_s)
        end_s, why = _watched(watch, due_s, done_s, schedule.total_s)
        counted = (due_s < end_s) & (done_s < end_s + 2) if why else due_s < end_s
        measurement = self._measurement(due_s[counted], sent_s[counted], done_s[counted])
        measurement = _ended(measurement, end_s, why, is_interrupted=is_interrupted)
        moments = schedule.read_arrivals() if isinstance(schedule, OpenSchedule) else None
        summary = summarise(
            plan,
            measurement,
            hardware=_HARDWARE,
            other_work_share=0.0,
            wanted=[parse_objective(text) for text in self.objectives],
            arrivals=moments,
        )
        asked = {
            "command": ["windtunnel"],
            "started_at": "2026-11-22T10:00:00.000+00:00",
            "plan": plan.to_json(),
            "target": {"cloud": "local", "account": "0", "region": "us-east-1"},
            "endpoint": {"name": "unet", "variants": []},
            "versions": {},
        }
        directory.write(asked, summary, measurement)
        return summary

    def _sent(self, schedule: Schedule) -> tuple[Floats, Floats]:
        if not isinstance(schedule, OpenSchedule):
            due_s = np.arange(0.0, schedule.total_s, self.service_s)
            return due_s, due_s
        due_s = np.array(list(arrivals.share(schedule.read_arrivals(), 0, 1)))
        late_s = 0.5 if schedule.rate_per_s > self.generator_rps else 0.0
        return due_s, due_s + late_s

    def _measurement(self, due_s: Floats, sent_s: Floats, done_s: Floats) -> Measurement:
        count = len(due_s)
        worker = WorkerOutcome(
            requests=count,
            end_s=1e9,
            users_peak=1,
            unanswered=0,
            is_full=False,
            cpu_share=0.1,
            loop_lag_s_p99=0.0,
        )
        columns = {
            "due_s": due_s,
            "sent_s": sent_s,
            "done_s": done_s,
            "status": np.full(count, 200),
            "bytes": np.full(count, 10),
            "error": np.full(count, int(self.is_failing)),
            "worker": np.zeros(count),
            "payload": np.zeros(count),
        }
        return Measurement.of(
            columns, [worker], kinds=[("failed", "failed")], started_epoch_s=1_795_000_000.0
        )


def _queue(sent_s: Floats, service_s: float) -> Floats:
    """Return when each request is answered by one server, first come, first served (Lindley)."""
    numbers = np.arange(len(sent_s))
    found: Floats = np.maximum.accumulate(sent_s - numbers * service_s) + (numbers + 1) * service_s
    return found


def _watched(
    watch: stair.Watch, due_s: Floats, done_s: Floats, total_s: float
) -> tuple[float, str | None]:
    """Return when a run ends, and why if it is earlier than planned: a tick comes every second."""
    for second in range(1, int(total_s) + 1):
        out = int((due_s < second).sum() - (done_s < second).sum())
        if why := watch(Tick(worker=0, at_s=second, users=out, requests=0, failures=0)):
            return float(second), why
    return total_s, None


def _ended(
    measurement: Measurement, end_s: float, why: str | None, *, is_interrupted: bool
) -> Measurement:
    (worker,) = measurement.workers
    return replace(
        measurement,
        workers=(replace(worker, end_s=end_s),),
        is_interrupted=is_interrupted or why is not None,
        stopped_because=why,
    )


@dataclass
class Searched:
    summary: dict[str, Any]
    out: Path
    cloud: Cloud

    @property
    def found(self) -> dict[str, Any]:
        capacity: dict[str, Any] = self.summary["capacity"]
        return capacity


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Searched]:
    """Return a function that searches in a simulated world."""

    def run(cloud: Cloud, **words: Any) -> Searched:
        asked: dict[str, Any] = {
            "start_rps": None,
            "arrivals": "constant",
            "seed": 0,
            "warmup_s": None,
            "duration_s": 20.0,
            "processes": 1,
            "objectives": tuple(parse_objective(text) for text in cloud.objectives),
        }
        out = RunDirectory(tmp_path / "out")
        made = stair.Search(
            stair.Wanted(**{**asked, **words}),
            out,
            prepare=cloud.prepare,
            carry_out=cloud.carry_out,
            invoke=cloud.invoke,
        )
        return Searched(made.run(lambda _summary: None, lambda _step, _next: None), out.path, cloud)

    return run


def test_the_capacity_of_one_server_is_what_it_is_on_paper(
    search: Callable[..., Searched],
) -> None:
    """20 ms a request and no chance in it: anything below 50 a second is kept, nothing above."""
    found = search(Cloud(objectives=("p95=100ms",)), duration_s=60.0).found

    assert found["outcome"] == "found"
    assert 50 / 1.05 < found["rate_rps"] <= 50.1
    assert found["rate_rps"] < found["upper_rps"] <= 1.05 * found["rate_rps"]


def test_arrivals_by_chance_need_a_server_that_is_idle_for_a_third_of_the_time(
    search: Callable[..., Searched],
) -> None:
    """By chance three come at once: sized by even arrivals, the endpoint would miss its p95."""
    # A queue with chance arrivals and even services (M/D/1) has its p95 at 100 ms at 35/s, by a
    # simulation of two million requests; to be shown with 99% confidence it must lie below.
    found = search(
        Cloud(objectives=("p95=100ms",)), duration_s=600.0, arrivals="poisson", seed=3
    ).found

    assert found["outcome"] == "found"
    assert 31 < found["rate_rps"] < 36


def test_without_an_objective_it_is_what_the_endpoint_keeps_up_with(
    search: Callable[..., Searched],
) -> None:
    """`How much can it take` is a question, too; that latency was not looked at has to be said."""
    found = search(Cloud(), duration_s=60.0).found

    # 95% of the rate is keeping up.
    assert 50 / 1.05 < found["rate_rps"] <= 50 / 0.95
    assert found["limited_by"] == "saturation"
    assert "nothing is said of its latency" in found["sentence"]


def test_the_directory_is_that_of_the_confirming_run_with_the_search_on_top(
    search: Callable[..., Searched],
) -> None:
    """Whatever reads runs (report, baseline) reads the answer of a search, too."""
    searched = search(Cloud(objectives=("p95=100ms",)))

    written = RunDirectory(searched.out).read()
    assert written.summary == json.loads(json.dumps(searched.summary))
    assert written.summary["valid"]
    assert written.summary["objectives"][0]["outcome"] == "held"
    assert written.asked["plan"]["schedule"]["rate_per_s"] == searched.found["rate_rps"]
    steps = searched.found["steps"]
    assert steps[-1]["is_confirmation"]
    assert [step["directory"] for step in steps] == [
        f"steps/{number:02}" for number in range(1, len(steps) + 1)
    ]
    for directory in ("steps/00", *(step["directory"] for step in steps)):
        kept = RunDirectory(searched.out / directory).read()
        assert "capacity" not in kept.summary
    page = (searched.out / "report.html").read_text()
    assert "50 requests/s keep p95=100ms" in page
    assert "requests per second that were due" in page


def test_drowned_steps_end_early_and_the_queue_is_waited_for(
    search: Callable[..., Searched],
) -> None:
    """Else a step lasts as long as a good one, and the next one finds the queue it left."""
    searched = search(Cloud(objectives=("p95=100ms",)), duration_s=120.0)

    drowned = [step for step in searched.found["steps"] if step["outcome"] == "saturated"]
    assert drowned
    assert max(step["measured_s"] for step in drowned) < 60
    assert all("stopped early" in step["why"] for step in drowned)
    assert searched.cloud.invoked == len(drowned)


def test_steps_are_as_long_as_the_objectives_need(search: Callable[..., Searched]) -> None:
    """A p99 cannot be shown by ten seconds at 24 a second, and every step would be undecided."""
    searched = search(Cloud(objectives=("p99=100ms",)), duration_s=10.0)

    assert searched.found["outcome"] == "found"
    assert min(step["requests"] for step in searched.found["steps"][:2]) >= 1001


def test_slow_endpoints_are_warmed_up_until_answers_come_as_requests_do(
    search: Callable[..., Searched],
) -> None:
    """In a second of warm-up a model of 2 s answers nothing, and would seem not to keep up."""
    searched = search(Cloud(service_s=2.0), duration_s=60.0)

    assert searched.cloud.runs[1][0].warmup_s == pytest.approx(6.0)
    assert searched.found["rate_rps"] == pytest.approx(0.5, rel=0.06)


def test_each_run_by_chance_has_a_chance_of_its_own(search: Callable[..., Searched]) -> None:
    """The same arrivals again would confirm nothing but themselves."""
    searched = search(
        Cloud(objectives=("p95=100ms",)), arrivals="poisson", seed=10, duration_s=60.0
    )

    seeds = [
        schedule.seed for schedule, _ in searched.cloud.runs if isinstance(schedule, OpenSchedule)
    ]
    assert seeds == list(range(11, 11 + len(seeds)))


def test_what_one_user_alone_misses_no_rate_keeps(search: Callable[..., Searched]) -> None:
    """A limit below the service time is found out in seconds, not in five ever longer steps."""
    searched = search(Cloud(objectives=("p95=10ms",)))

    assert searched.found["outcome"] == "none"
    assert searched.found["sentence"] == "no rate keeps p95=10ms: one user alone misses it"
    assert len(searched.cloud.runs) == 1
    assert RunDirectory(searched.out).read().summary["latency_s"]["p95"] == 0.02
    assert not checks.is_passed(searched.summary)


def test_an_endpoint_that_answers_nothing_well_has_no_capacity(
    search: Callable[..., Searched],
) -> None:
    """A model that fails at any rate is no question of rates."""
    searched = search(Cloud(is_failing=True))

    assert searched.found["outcome"] == "none"
    assert "none of 250 requests was answered well" in searched.found["sentence"]


def test_the_generators_limit_is_said_to_be_the_generators(
    search: Callable[..., Searched],
) -> None:
    """`48/s` and `at least 48/s` are two answers to whoever buys by them."""
    searched = search(Cloud(service_s=0.001, generator_rps=1500, objectives=("p95=100ms",)))

    assert searched.found["outcome"] == "at least"
    assert searched.found["rate_rps"] == 1000
    assert searched.found["upper_rps"] is None
    assert "the generator is the limit" in searched.found["sentence"]
    assert searched.summary["valid"]
    assert {check.name: check.status for check in checks.of(searched.summary)} == {
        "valid": "passed",
        "capacity": "error",
        "p95=100ms": "passed",
    }


def test_an_interrupted_search_keeps_its_steps(search: Callable[..., Searched]) -> None:
    """After half an hour Ctrl-C must not throw the half hour away; nor may it pass for a result."""
    searched = search(Cloud(objectives=("p95=100ms",), interrupted_at=2))

    assert searched.found["outcome"] == "interrupted"
    assert [step["outcome"] for step in searched.found["steps"]] == ["held"]
    assert searched.summary["reasons"] == ["interrupted"]
    assert "25 requests/s kept p95=100ms in one run" in searched.found["sentence"]
    assert RunDirectory(searched.out / "steps" / "02").read().summary["valid"] is False
