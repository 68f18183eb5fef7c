"""What is kept, for how long and how finely, and that nothing of it is lost on the way."""

import asyncio
import math
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.cloud.cloudwatch.archive import Archive, Question
from windtunnel.cloud.cloudwatch.metric import Metric, Sample
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.errors import InvalidError
from windtunnel.core import limits

T = TypeVar("T")

_NOW_S = 1_700_000_040
_DAY_S = 24 * 3600
_METRIC = Metric.of("Own", "m", [("b", "2"), ("a", "1")])


def _sample(at_s: int, value: float = 1.0, *, fine: bool = False, unit: str = "None") -> Sample:
    return Sample(_METRIC, unit, at_s, Summary.of_value(value), fine)


def _question(period_s: int, now_s: float, **changes: Any) -> Question:
    start_s = int(now_s) - 500 * _DAY_S
    start_s -= start_s % max(period_s, 3600)
    return Question(_METRIC, period_s, start_s, now_s + _DAY_S, now_s, **changes)


def _played(work: Callable[[Archive], Awaitable[T]]) -> T:
    async def scenario(path: Path) -> T:
        archive = await Archive.open(path)
        try:
            return await work(archive)
        finally:
            await archive.close()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(scenario(Path(folder) / "metrics"))


_MOMENTS = st.lists(
    st.tuples(st.integers(0, 480 * _DAY_S), st.floats(0, 1e6), st.sampled_from(["None", "Count"])),
    min_size=1,
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=60)
@given(_MOMENTS, st.lists(st.integers(1, 200 * _DAY_S), max_size=3))
def test_rolling_up_never_loses_a_count(moments: list[Any], pauses: list[int]) -> None:
    """A year later, the hours still add up to all the requests there were within 455 days."""
    written_s = _NOW_S

    async def work(archive: Archive) -> list[Any]:
        samples = [_sample(written_s - age_s, value, unit=unit) for age_s, value, unit in moments]
        await archive.put(lambda: samples, written_s)
        now_s = written_s
        await archive.tidy(now_s)
        for pause_s in pauses:
            now_s += pause_s
            await archive.tidy(now_s)
        return [now_s, await archive.windows(_question(3600, now_s, needs_distribution=True))]

    now_s, windows = _played(work)
    expected: dict[tuple[int, str], list[float]] = {}
    for age_s, value, unit in moments:
        at_s = written_s - age_s
        # Rows go by whole hours: what is just at the edge may be there or not.
        if at_s - at_s % 3600 >= now_s - limits.METRIC_HOURS_KEPT_S:
            expected.setdefault((at_s - at_s % 3600, unit), []).append(value)
    assert {(window.start_s, window.unit) for window in windows} == expected.keys()
    for window in windows:
        values = expected[window.start_s, window.unit]
        assert window.summary.count == len(values)
        assert window.summary.sum == pytest.approx(sum(values))
        assert (window.summary.low, window.summary.high) == (min(values), max(values))
        assert window.summary.quantile(1.0) == max(values)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 7000), st.integers(0, 9)), min_size=1, max_size=40),
    st.sampled_from([1, 5, 10, 20, 30, 60, 120, 300, 3600]),
    st.booleans(),
)
def test_every_window_holds_exactly_its_samples(
    moments: list[tuple[int, int]],
    period_s: int,
    with_distribution: bool,  # noqa: FBT001 - drawn
) -> None:
    """Start included, end not: a sample is in one window and in no other."""

    async def work(archive: Archive) -> Any:
        half = len(moments) // 2
        for part in (moments[:half], moments[half:]):
            samples = [_sample(_NOW_S - age_s, value, fine=True) for age_s, value in part]
            await archive.put(lambda samples=samples: samples, _NOW_S)  # type: ignore[misc]
        start_s = _NOW_S - 7200
        question = Question(
            _METRIC, period_s, start_s, _NOW_S + 1, _NOW_S, needs_distribution=with_distribution
        )
        return start_s, await archive.windows(question)

    start_s, windows = _played(work)
    expected: dict[int, list[int]] = {}
    for age_s, value in moments:
        at_s = _NOW_S - age_s
        expected.setdefault(at_s - (at_s - start_s) % period_s, []).append(value)
    assert [window.start_s for window in windows] == sorted(expected)
    for window in windows:
        values = expected[window.start_s]
        assert window.summary.count == len(values)
        assert window.summary.sum == sum(values)
        assert (window.summary.low, window.summary.high) == (min(values), max(values))


@pytest.mark.parametrize("period_s", [60, 300, 3600, 7 * 3600, 3 * _DAY_S])
def test_percentiles_of_weeks_are_read_in_parts_that_fit(period_s: int) -> None:
    """Long questions let others in between, and come to the same windows as short ones."""

    async def work(archive: Archive) -> tuple[Any, Any]:
        samples = [_sample(_NOW_S - hour * 3571, float(hour)) for hour in range(14 * 24)]
        await archive.put(lambda: samples, _NOW_S)
        plain = await archive.windows(_question(period_s, _NOW_S))
        full = await archive.windows(_question(period_s, _NOW_S, needs_distribution=True))
        return plain, full

    plain, full = _played(work)
    assert [(each.start_s, each.summary.count) for each in plain] == [
        (each.start_s, each.summary.count) for each in full
    ]
    assert sum(each.summary.count for each in full) == 14 * 24


@pytest.mark.parametrize(
    ("age_s", "finest_s"),
    [
        (3600, 1),
        (4 * 3600, 60),
        (14 * _DAY_S, 60),
        (16 * _DAY_S, 300),
        (62 * _DAY_S, 300),
        (64 * _DAY_S, 3600),
        (454 * _DAY_S, 3600),
        (457 * _DAY_S, None),
    ],
)
def test_values_are_kept_as_finely_and_as_long_as_on_aws(age_s: int, finest_s: int | None) -> None:
    """The table of GetMetricStatistics' page: 3 hours, 15 days, 63 days, 455 days."""

    async def work(archive: Archive) -> list[int]:
        await archive.put(lambda: [_sample(_NOW_S, fine=True)], _NOW_S)
        now_s = _NOW_S + age_s
        before = [p for p in (1, 60, 300, 3600) if await archive.windows(_question(p, now_s))]
        await archive.tidy(now_s)
        after = [p for p in (1, 60, 300, 3600) if await archive.windows(_question(p, now_s))]
        # Whether or not somebody has tidied makes no difference to who asks.
        assert before == after
        return after

    expected = [p for p in (1, 60, 300, 3600) if finest_s is not None and p >= finest_s]
    assert _played(work) == expected


def test_a_metric_of_which_nothing_is_left_is_forgotten() -> None:
    """A cloud of two years lists what there is, not what there was."""

    async def work(archive: Archive) -> int:
        await archive.put(lambda: [_sample(_NOW_S, fine=True)], _NOW_S)
        await archive.tidy(_NOW_S + 457 * _DAY_S)
        return len(await archive.metrics(None, None, 0))

    assert _played(work) == 0


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    """Metrics outlive the cloud, by the metric and the unit that they had."""

    async def scenario() -> list[Any]:
        archive = await Archive.open(tmp_path / "metrics")
        await archive.put(lambda: [_sample(_NOW_S, 2.5, unit="Count")], _NOW_S)
        await archive.close()
        archive = await Archive.open(tmp_path / "metrics")
        found = await archive.windows(_question(60, _NOW_S))
        metrics = await archive.metrics("Own", "m", _NOW_S)
        await archive.close()
        return [found, metrics]

    found, metrics = asyncio.run(scenario())
    assert [(window.start_s, window.unit, window.summary.sum) for window in found] == [
        (_NOW_S, "Count", 2.5)
    ]
    assert metrics == [_METRIC]


def test_a_batch_is_kept_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PutMetricData that was refused has left nothing, and the next one goes well."""
    monkeypatch.setattr(limits, "METRIC_COUNT_MAX", 1)
    other = Sample(Metric.of("Own", "other"), "None", _NOW_S, Summary.of_value(1))

    async def work(archive: Archive) -> list[Metric]:
        first, second = await asyncio.gather(
            archive.put(lambda: [_sample(_NOW_S), other], _NOW_S),
            archive.put(lambda: [other], _NOW_S),
            return_exceptions=True,
        )
        assert isinstance(first, InvalidError)
        assert second is None
        return await archive.metrics(None, None, 0)

    assert _played(work) == [other.metric]


def test_what_was_silent_longest_makes_room_for_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tool that makes an endpoint for each trial must not end everybody's metrics."""
    monkeypatch.setattr(limits, "METRIC_COUNT_MAX", 2)
    later_s = _NOW_S + limits.METRIC_SILENT_S + 60
    fresh, newer, newest = (
        Sample(Metric.of("Own", name), "None", at_s, Summary.of_value(1))
        for name, at_s in (("fresh", later_s - 120), ("newer", later_s), ("newest", later_s))
    )

    async def work(archive: Archive) -> list[Metric]:
        await archive.put(lambda: [_sample(_NOW_S), fresh], later_s - 120)
        await archive.put(lambda: [newer], later_s)
        # Nothing is silent now: what is known is kept, and what is not is left out.
        await archive.put_what_fits(lambda: [fresh, newest, newer], later_s)
        assert await archive.windows(_question(60, _NOW_S)) == []
        return await archive.metrics(None, None, 0)

    assert _played(work) == [fresh.metric, newer.metric]


def test_a_file_that_is_full_lets_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics must never fill the disk; the newest are what is asked for."""
    monkeypatch.setattr(limits, "METRIC_FILE_BYTES_MAX", 200_000)
    minutes = 5000

    async def work(archive: Archive) -> tuple[int, Any]:
        samples = [
            _sample(_NOW_S - 60 * minute, value)
            for minute in range(minutes)
            for value in (1.0, 2.0 + minute % 50)
        ]
        await archive.put(lambda: samples, _NOW_S)
        await archive.tidy(_NOW_S)
        used = await archive._database.ask(
            lambda connection: (
                connection.execute("PRAGMA page_count").fetchone()[0]
                - connection.execute("PRAGMA freelist_count").fetchone()[0]
            )
        )
        return used * 4096, await archive.windows(_question(3600, _NOW_S))

    used_bytes, windows = _played(work)
    assert used_bytes <= 200_000
    # Coarser, but all there.
    assert sum(window.summary.count for window in windows) == 2 * minutes


def test_rows_that_ended_too_lately_are_not_shown() -> None:
    """As on AWS, where metrics are minutes late: no half of a minute is ever seen."""

    async def work(archive: Archive) -> list[int]:
        samples = [_sample(_NOW_S - 60 * minute) for minute in range(4)]
        await archive.put(lambda: samples, _NOW_S)
        shown = await archive.windows(_question(60, _NOW_S, shown_until_s=_NOW_S - 90))
        everything = await archive.windows(_question(60, _NOW_S, shown_until_s=math.inf))
        assert len(everything) == 4
        return [_NOW_S - window.start_s for window in shown]

    assert _played(work) == [180]


def test_a_file_of_a_newer_windtunnel_is_left_alone(tmp_path: Path) -> None:
    """Going back to an older version must not destroy what the newer one kept."""
    from windtunnel.core.errors import NotReadyError

    connection = sqlite3.connect(tmp_path / "metrics")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NotReadyError, match="newer Windtunnel"):
        asyncio.run(Archive.open(tmp_path / "metrics"))
