"""Requests that reach Locust's statistics in batches, beside Locust's own way of counting."""

import csv
import io
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

with pytest.MonkeyPatch.context() as patched:
    # Otherwise Locust would patch the sockets and threads of every other test.
    patched.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
    from locust.env import Environment
    from locust.event import Events
    from locust.rpc.protocol import Message
    from locust.stats import RequestStats, StatsCSV, setup_distributed_stats_event_listeners

    from windtunnel.lab.load import locust_feed, locust_stats
    from windtunnel.lab.load.failures import Failure

KINDS = ["no answer in time", "ModelError (424, the model answered 500)"]
EPOCH_S = 1_800_000_000.0
# Latency, size, kind of failure, and when it ended.
REQUESTS = st.lists(
    st.tuples(
        st.floats(0.0001, 70.0), st.integers(0, 10**7), st.integers(0, 2), st.floats(0.0, 30.0)
    ),
    min_size=1,
    max_size=60,
)


# Locust's have no types.
_events: Any = Events
_message: Any = Message


def _batch(requests: list[tuple[float, int, int, float]]) -> locust_stats.Batch:
    latency_s, size, failure, ended_s = (np.array(column) for column in zip(*requests, strict=True))
    return locust_stats.Batch(latency_s, size, failure.astype(np.uint16), ended_s + EPOCH_S)


def _counted_one_by_one(requests: list[tuple[float, int, int, float]]) -> Any:
    stats: Any = RequestStats()
    for latency_s, size, failure, ended_s in requests:
        with mock.patch("locust.stats.time.time", return_value=EPOCH_S + ended_s):
            stats.log_request("InvokeEndpoint", "unet", latency_s * 1000, size)
            if failure:
                stats.log_error("InvokeEndpoint", "unet", KINDS[failure - 1])
    return stats


@given(REQUESTS)
def test_a_batch_leaves_what_one_event_a_request_would_have_left(
    requests: list[tuple[float, int, int, float]],
) -> None:
    """Locust's tables and CSV files must show the same numbers, only sooner."""
    requests.sort(key=lambda request: request[3])
    expected = _counted_one_by_one(requests)
    stats = RequestStats()
    half = len(requests) // 2
    for part in (requests[:half], requests[half:]):
        if part:
            locust_stats.add(stats, "InvokeEndpoint", "unet", _batch(part), KINDS)

    for made, wanted in (
        (stats.total, expected.total),
        (stats.entries["unet", "InvokeEndpoint"], expected.entries["unet", "InvokeEndpoint"]),
    ):
        for name in ("num_requests", "num_failures", "total_content_length", "num_reqs_per_sec"):
            assert getattr(made, name) == getattr(wanted, name), name
        assert made.num_fail_per_sec == wanted.num_fail_per_sec
        assert made.total_response_time == pytest.approx(wanted.total_response_time)
        assert made.min_response_time == pytest.approx(wanted.min_response_time)
        assert made.max_response_time == pytest.approx(wanted.max_response_time)
        assert made.last_request_timestamp == pytest.approx(wanted.last_request_timestamp)
        assert sum(made.response_times.values()) == len(requests)
    assert stats.errors.keys() == expected.errors.keys()
    for key, error in stats.errors.items():
        for name in ("occurrences", "first_seen", "last_seen"):
            assert getattr(error, name) == pytest.approx(getattr(expected.errors[key], name)), name


@given(st.lists(st.floats(0.0, 100.0), min_size=1))
def test_response_times_are_kept_to_three_digits(latencies_s: list[float]) -> None:
    """Locust makes 150 ms of 147: an objective of 149 ms would seem missed."""
    kept = locust_stats.kept_ms(np.array(latencies_s)).tolist()

    for latency_s, kept_ms in zip(latencies_s, kept, strict=True):
        assert abs(kept_ms - latency_s * 1000) <= max(0.000501, 0.00501 * latency_s * 1000)
        assert len(f"{kept_ms:.3f}".replace(".", "").strip("0")) <= 3


def test_an_endpoint_faster_than_a_millisecond_is_not_called_one_that_takes_no_time() -> None:
    """In whole milliseconds all its percentiles are 0, and its median is its minimum."""
    environment = Environment()
    requests = [(0.000_3, 10, 0, 1.0), (0.000_421_4, 10, 0, 1.0), (0.098_76, 10, 0, 1.0)]

    locust_stats.add(environment.stats, "InvokeEndpoint", "unet", _batch(requests), [])

    assert environment.stats.total.median_response_time == 0.421
    assert environment.stats.total.get_response_time_percentile(0.99) == 98.8


def test_where_locust_would_cut_a_fraction_off_milliseconds_are_rounded() -> None:
    """Plain Locust's CSV files would make 12 ms of 12.7: better than it was is worse than wrong."""
    latencies_s = np.array([0.000_42, 0.009_87, 0.0127, 0.0994, 0.147])

    kept = locust_stats.kept_ms(latencies_s, locust_stats.FRACTIONS_BELOW_MS_IF_CUT)

    assert kept.tolist() == [0.42, 9.87, 13.0, 99.0, 147.0]


def test_a_workers_report_of_batches_reaches_the_master_whole() -> None:
    """Statistics of workers travel in messages, which carry no numbers but plain ones."""
    requests = [(0.001 * number, 10, number % 3, 1.0) for number in range(1, 201)]
    worker, master = RequestStats(use_response_times_cache=False), RequestStats()
    at_worker, at_master = _events(), _events()
    setup_distributed_stats_event_listeners(at_worker, worker)
    setup_distributed_stats_event_listeners(at_master, master)
    locust_stats.add(worker, "InvokeEndpoint", "unet", _batch(requests), KINDS)

    data: dict[str, Any] = {}
    at_worker.report_to_master.fire(client_id="w", data=data)
    came = _message.unserialize(_message("stats", data, "w").serialize())
    at_master.worker_report.fire(client_id="w", data=came.data)

    assert master.total.num_requests == 200
    assert master.total.get_response_time_percentile(0.99) == 199
    assert sorted(error.occurrences for error in master.errors.values()) == [67, 67]


def test_locusts_own_files_show_the_third_digit() -> None:
    """What is kept and not shown is of no use."""
    environment = Environment()
    requests = [(0.147, 10, 0, 1.0), (0.148, 10, 0, 1.5), (3.432, 10, 0, 2.0)]
    locust_stats.add(environment.stats, "InvokeEndpoint", "unet", _batch(requests), [])
    written = io.StringIO()

    StatsCSV(environment, [0.5, 0.99]).requests_csv(csv.writer(written))

    row = next(csv.DictReader(io.StringIO(written.getvalue())))
    assert (row["Request Count"], row["Median Response Time"]) == ("3", "148")
    assert (row["50%"], row["99%"]) == ("148", "3430")


def test_the_last_seconds_percentiles_follow_the_batches() -> None:
    """Locust's chart of response times looks ten seconds back, or a slow start never leaves it."""
    stats = RequestStats()
    for second in range(30):
        slow = 1.0 if second < 10 else 0.01
        locust_stats.add(stats, "InvokeEndpoint", "unet", _batch([(slow, 1, 0, float(second))]), [])

    with mock.patch("locust.stats.time.time", return_value=EPOCH_S + 29):
        assert stats.total.get_current_response_time_percentile(0.95) == 10
    assert stats.total.get_response_time_percentile(0.95) == 1000


def _record(feed: locust_feed.Feed, kind: str | None = None, message: str = "") -> None:
    failure = Failure(kind, message) if kind else None
    feed.record("unet", 1.0, 1.01, 20, failure, lambda: {"user": "first"})


def test_statistics_are_whole_whenever_somebody_looks() -> None:
    """A report without the last requests loses them; a reset without them brings them back."""
    environment = Environment(events=_events(), reset_stats=True)
    events: Any = environment.events
    runner = environment.create_local_runner()
    setup_distributed_stats_event_listeners(events, environment.stats)
    seen: list[int] = []
    events.test_stop.add_listener(lambda **_: seen.append(environment.stats.num_requests))
    feed = locust_feed.Feed(environment)

    _record(feed)
    data: dict[str, Any] = {}
    events.report_to_master.fire(client_id="w", data=data)
    _record(feed)
    events.spawning_complete.fire(user_count=1)
    for kind in (None, "connection reset"):
        _record(feed, kind)
    events.test_stop.fire(environment=environment)
    _record(feed)
    events.quitting.fire(environment=environment, reverse=True)

    assert data["stats_total"]["num_requests"] == 1
    assert seen == [2]
    assert environment.stats.num_requests == 3
    (error,) = environment.stats.errors.values()
    assert error.to_name() == ("InvokeEndpoint unet: FailedInvocationError('connection reset')")
    runner.greenlet.kill()


def test_a_kind_of_failure_is_one_row_with_the_words_of_one_case() -> None:
    """`ValidationError (400)` sends people to the logs; a row for each request drowns them."""
    environment = Environment(events=_events())
    runner = environment.create_local_runner()
    master = RequestStats()
    at_worker, at_master = _events(), _events()
    setup_distributed_stats_event_listeners(at_worker, environment.stats)
    setup_distributed_stats_event_listeners(at_master, master)

    # Two workers, or one that was reset: their first cases differ.
    for number in range(4):
        feed = locust_feed.Feed(environment)
        _record(feed, "ValidationError (400)", f"Endpoint {number}\nnot found.")
        _record(feed, "ValidationError (400)", "another")
        feed.flush()
        data: dict[str, Any] = {}
        at_worker.report_to_master.fire(client_id="w", data=data)
        at_master.worker_report.fire(client_id="w", data=data)

    (error,) = master.errors.values()
    sentence = "ValidationError (400): Endpoint 0 not found."
    assert error.to_name() == f"InvokeEndpoint unet: FailedInvocationError('{sentence}')"
    assert error.occurrences == 8
    runner.greenlet.kill()


def test_whoever_listens_to_requests_hears_of_each() -> None:
    """A locustfile's own log, or OpenTelemetry, must not miss requests because ours are fast."""
    environment = Environment(events=_events())
    events: Any = environment.events
    runner = environment.create_local_runner()
    feed = locust_feed.Feed(environment)
    heard: list[dict[str, Any]] = []

    _record(feed)
    listener = events.request.add_listener(lambda **words: heard.append(words))
    _record(feed, "connection reset")
    events.request.remove_listener(listener)
    _record(feed)
    feed.flush()

    assert environment.stats.num_requests == 3
    assert environment.stats.num_failures == 1
    (words,) = heard
    assert repr(words.pop("exception")) == "FailedInvocationError('connection reset')"
    assert words == {
        "request_type": "InvokeEndpoint",
        "name": "unet",
        "response_time": pytest.approx(10),
        "response_length": 20,
        "context": {"user": "first"},
    }
    runner.greenlet.kill()


def test_what_waits_to_be_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has no time to count must not fill the memory instead."""
    monkeypatch.setattr("windtunnel.core.limits.LOCUST_BATCH_REQUEST_COUNT_MAX", 10)
    monkeypatch.setattr("windtunnel.core.limits.LOAD_ERROR_KINDS_MAX", 2)
    environment = Environment(events=_events())
    runner = environment.create_local_runner()
    feed = locust_feed.Feed(environment)

    for number in range(25):
        _record(feed, f"kind {number}")

    assert environment.stats.num_requests == 20
    assert len(environment.stats.errors) == 3
    runner.greenlet.kill()
