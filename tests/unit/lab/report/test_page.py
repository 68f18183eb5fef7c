"""The report's page: whole, safe, small, and true to the run."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.lab import plans

from windtunnel.lab.load.closed_schedule import closed_schedule
from windtunnel.lab.measurement import Measurement, WorkerOutcome
from windtunnel.lab.objectives import parse_objective
from windtunnel.lab.report import page
from windtunnel.lab.run_directory import Run, RunDirectory
from windtunnel.lab.scaling_record import Activity, AlarmPast, Sample, ScalingRecord, VariantPast
from windtunnel.lab.summary import summarise

# Every page carries Plotly's script.
pytestmark = pytest.mark.slow

_EVIL = '</script><script>alert("1")</script><img src=x onerror=alert(1)>&amp;'


def _measurement(count: int, median_s: float, kinds: tuple[str, ...]) -> Measurement:
    rng = np.random.default_rng(1)
    due_s = np.sort(rng.uniform(0, 21, count))
    failed = np.zeros(count, dtype=int)
    if kinds:
        failed[:: count // 10] = 1
    worker = WorkerOutcome(
        requests=count,
        end_s=21.0,
        users_peak=4,
        unanswered=0,
        is_full=False,
        cpu_share=0.1,
        loop_lag_s_p99=0.0,
    )
    return Measurement.of(
        {
            "due_s": due_s,
            "sent_s": due_s,
            "done_s": due_s + median_s * rng.lognormal(0, 0.4, count),
            "status": np.full(count, 200),
            "bytes": np.full(count, 10),
            "error": failed,
            "worker": np.zeros(count),
            "payload": np.zeros(count),
        },
        [worker],
        kinds=[(kind, _EVIL) for kind in kinds],
        started_epoch_s=1_795_000_000.0,
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that writes a run and reads it back."""

    def write(
        name: str,
        *,
        count: int = 1000,
        median_s: float = 0.05,
        kinds: tuple[str, ...] = (),
        text: str = "unet",
        scaling: ScalingRecord | None = None,
    ) -> Run:
        plan = plans.plan(
            closed_schedule(users=4, spawn_rate_per_s=None, warmup_s=None, duration_s=20),
            endpoint_name=text,
            payloads=(plans.facts(name=text, content_type=text),),
            objectives=("p95=150ms",),
        )
        measurement = _measurement(count, median_s, kinds)
        hardware = {
            "fidelity": "stand-in",
            "instances": f"ml.c5.large (stand-in: 2 of 2 vCPU) {text}",
            "describes": "generator",
            "cpu_model": text,
            "cpu_count": 2,
            "cpu_count_usable": 2,
            "instruction_sets": ["avx2"],
            "memory_bytes": 1,
            **({"clock": f"x{scaling.clock:g}"} if scaling else {}),
            "load_average_1m": 0.5,
        }
        summary = summarise(
            plan,
            measurement,
            hardware=hardware,
            other_work_share=0.3,
            wanted=[parse_objective("p95=150ms")],
        )
        variant = {
            "name": "AllTraffic",
            "instance_type": "ml.c5.large",
            "instance_count": 1,
            "image": text,
            "environment": {"OMP_NUM_THREADS": text},
        }
        asked = {
            "command": ["windtunnel", "load", text],
            "started_at": "2026-11-22T10:00:00.000+00:00",
            "plan": plan.to_json(),
            "target": {"cloud": "local", "account": "0", "region": "us-east-1"},
            "endpoint": {"name": text, "variants": [variant]},
            "versions": {"windtunnel": "0"},
        }
        directory = RunDirectory(tmp_path / name)
        directory.prepare()
        directory.write(asked, summary, measurement, scaling)
        return directory.read()

    return write


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(text)
    assert parser.open == []
    return parser.found


def _words(text: str) -> str:
    """Return the page without its scripts and style."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)


def test_the_title_states_the_finding(run: Callable[..., Run]) -> None:
    """Whoever opens ten reports reads ten titles."""
    one = run("one")
    title = re.search("<h1>(.*?)</h1>", page.render([one]))

    assert title is not None
    assert re.fullmatch(r"p95 \d+(\.\d+)? ms at \d+(\.\d+)? requests/s, 4 users", title[1])


def test_a_page_says_how_exact_its_figures_are(run: Callable[..., Run]) -> None:
    """Whoever holds it against what Locust showed must know why the third digit differs."""
    words = _words(page.render([run("one")]))

    assert "percentiles are exact, from every request that counts" in words
    assert "have three significant digits" in words


def test_nothing_is_fetched_from_anywhere(run: Callable[..., Run]) -> None:
    """A report is opened on a train, from a ticket, behind a firewall."""
    for name, attributes in _elements(page.render([run("one")])):
        assert name not in {"link", "img", "iframe", "object", "embed"}
        assert not set(attributes) & {"src", "href"}, (name, attributes)


def test_what_others_wrote_stays_text(run: Callable[..., Run]) -> None:
    """Names, settings and a model's error messages come from outside; one could be a script."""
    one = run("one", kinds=(_EVIL,), text=_EVIL)
    text = page.render([one, run("two", text=_EVIL)])

    elements = _elements(text)
    assert [name for name, _ in elements if name == "img"] == []
    assert "alert(" not in "".join(re.findall(r"<script>(.{0,200})", text))
    assert "&lt;/script&gt;" in _words(text)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_a_run_of_hardly_anything_still_gets_its_page(run: Callable[..., Run], count: int) -> None:
    """The run that went wrong is the one whose report is read most carefully."""
    one = run("one", count=count, kinds=("refused",) if count >= 40 else ())

    assert _elements(page.render([one]))


def test_a_million_requests_make_a_page_that_opens(run: Callable[..., Run], tmp_path: Path) -> None:
    """Nobody waits for a browser that draws a million dots."""
    path = tmp_path / "report.html"

    page.write([run("one", count=1_000_000), run("two", count=1_000_000)], path)

    assert path.stat().st_size < 8_000_000


def test_several_runs_are_compared_with_the_first(run: Callable[..., Run]) -> None:
    """Before and after are one question, not two pages."""
    text = page.render([run("before"), run("after", median_s=0.03)])
    words = _words(text)

    assert re.search(r"<h1>after against before: p95 \N{MINUS SIGN}\d+", words)
    assert "better" in words
    assert words.count("<details") == 2


def test_the_headline_is_the_run_that_differs_not_the_last_one(run: Callable[..., Run]) -> None:
    """Measuring the first setting once more at the end is good practice, not the finding."""
    text = page.render([run("default"), run("tuned", median_s=0.03), run("again")])

    assert "<h1>tuned against default: p95" in text


def test_equal_runs_are_called_equal(run: Callable[..., Run]) -> None:
    """The most common outcome of tuning is no difference, and it must be said."""
    assert "<h1>No real difference between a and b</h1>" in page.render([run("a"), run("b")])


def test_runs_of_one_name_are_told_apart(run: Callable[..., Run]) -> None:
    """`before/run` and `after/run` must not both be called `run`."""
    words = _words(page.render([run("before/run"), run("after/run")]))

    assert "before/run" in words
    assert "after/run" in words


def test_a_verdict_is_shown_with_its_confidence_and_its_count(run: Callable[..., Run]) -> None:
    """`held` on ten requests and `held` on ten thousand are two claims."""
    words = _words(page.render([run("one", count=1000)]))

    assert "p95=150ms" in words
    assert re.search(r"\d+ of \d+ over 150 ms; confidence \d\d(\.\d+)?%", words)
    assert ">Every objective held</h2>" in words
    assert "MLPerf" in words


def _scaled() -> ScalingRecord:
    out = Activity(5.0, 6.0, 1, 4, "Successful", f"monitor alarm x {_EVIL}", 2.0, 2.0)
    alarm = AlarmPast(
        "TargetTracking-endpoint/unet/variant/AllTraffic-AlarmHigh-1",
        *("InvocationsPerInstance", 12.0, "GreaterThanThreshold", "OK"),
        ((4.0, "ALARM"), (9.0, "OK")),
    )
    samples = (Sample(-1.0, 1, 1), Sample(5.5, 1, 4), Sample(6.0, 4, 4), Sample(21.0, 4, 4))
    variant = VariantPast("AllTraffic", 1, 4, samples, (out,), (alarm,))
    return ScalingRecord(30.0, (variant,))


def _timeline(text: str) -> dict[str, Any]:
    """Return the figure with instances in it."""
    figures = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    (found,) = (
        each
        for each in map(json.loads, figures)
        if any(trace.get("name", "").startswith("instances") for trace in each["data"])
    )
    return dict(found)


def test_what_scaled_a_run_stands_on_the_time_axis_of_its_requests(run: Callable[..., Run]) -> None:
    """Which alarm, how late, and what it cost the users: one look, not four pages of a console."""
    text = page.render([run("scaled", scaling=_scaled(), kinds=("HTTP 503",))], capacity_rps=40.0)
    traces = {trace["name"]: trace for trace in _timeline(text)["data"]}

    assert {"due", "answered well", "failed", "p50", "p95", "desired", "capacity"} <= traces.keys()
    assert (traces["instances"]["x"], traces["instances"]["y"]) == ([0, 5.5, 6, 21], [1, 1, 4, 4])
    assert traces["capacity"]["y"] == [40, 40, 160, 160]
    (alarm,) = (trace for name, trace in traces.items() if name.endswith("AlarmHigh-1 ALARM"))
    assert alarm["x"] == [4, 9, None]
    assert traces["cooldown out"]["x"] == [6, 8, None]
    assert traces["changing"]["x"] == [5, 6, None]
    words = _words(text)
    assert "From 1 to 4 instances, in 1 change" in words
    assert "clock x30" in words
    assert "img" not in {name for name, _ in _elements(text)}


def test_however_often_a_run_was_scaled_its_page_stays_readable(run: Callable[..., Run]) -> None:
    """A policy that flaps all day draws 500 lines through everything else."""
    (variant,) = _scaled().variants
    many = tuple(replace(variant.activities[0], at_s=each / 10) for each in range(200))
    record = ScalingRecord(1.0, (replace(variant, activities=many),))

    text = page.render([run("flapping", scaling=record)])

    assert _timeline(text)["layout"]["shapes"] == []
    assert "160 more in scaling.json" in _words(text)


def test_each_of_several_variants_has_its_own_lines_and_bands(run: Callable[..., Run]) -> None:
    """An A/B test scales each variant by a policy of its own."""
    (variant,) = _scaled().variants
    record = ScalingRecord(1.0, (variant, replace(variant, name="Other")))

    figure = _timeline(page.render([run("both", scaling=record)], capacity_rps=40.0))
    names = {trace["name"] for trace in figure["data"]}

    assert {"instances AllTraffic", "instances Other", "Other: cooldown out"} <= names
    # Which of them gets how much of the demand is not known here.
    assert "capacity" not in names


def test_a_scaled_run_of_hardly_anything_still_gets_its_page(run: Callable[..., Run]) -> None:
    """Interrupted in its first second, or of an endpoint that nobody could count."""
    bare = VariantPast("AllTraffic", 1, 4, (), (), ())

    text = page.render([run("short", count=1, scaling=ScalingRecord(1.0, (bare,)))])

    assert "How many instances there were is not known" in _words(text)


def test_a_run_that_nothing_scaled_has_no_such_part(run: Callable[..., Run]) -> None:
    """An empty timeline reads as a policy that did not fire."""
    text = page.render([run("plain")])

    assert '"instances"' not in text.partition("<script>")[0]
    assert "clock x" not in _words(text)
