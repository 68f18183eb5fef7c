"""Batches are closed and queues are full exactly as in TensorFlow Serving's scheduler."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.serving.errors import RequestError
from windtunnel.serving.modelserver.batch_queues import Batch, BatchQueues, BatchRules

RULES = BatchRules(
    max_batch_size=4, batch_timeout_s=1.0, num_batch_threads=1, max_enqueued_batches=2
)


def make() -> BatchQueues[str]:
    return BatchQueues(RULES)


def names(found: Batch[str] | float | None) -> list[str]:
    assert isinstance(found, Batch)
    return found.tasks


def test_a_lone_request_runs_when_its_time_is_over_and_not_before() -> None:
    """The time-out is all that one client may pay for batching."""
    queues = make()
    assert queues.take(0.0) is None
    queues.add("x", "a", 1, 10.0)

    assert queues.take(10.5) == 11.0
    assert names(queues.take(11.0)) == ["a"]
    assert queues.take(11.0) is None


def test_a_full_batch_runs_at_once() -> None:
    """Whoever completes a batch waits for nothing."""
    queues = make()
    queues.add("x", "a", 3, 10.0)
    queues.add("x", "b", 1, 10.1)

    assert names(queues.take(10.1)) == ["a", "b"]


def test_a_request_that_does_not_fit_closes_the_batch_before_it() -> None:
    """Requests are never split and never overtaken by those behind them."""
    queues = make()
    queues.add("x", "a", 3, 10.0)
    queues.add("x", "b", 2, 10.2)
    queues.add("x", "c", 1, 10.3)

    assert names(queues.take(10.3)) == ["a"]
    assert queues.take(10.3) == 11.2
    assert names(queues.take(11.2)) == ["b", "c"]


def test_what_is_larger_than_a_batch_is_refused_in_tensorflow_servings_words() -> None:
    """Large batches are not split: enable_large_batch_splitting is not among the variables."""
    with pytest.raises(RequestError) as caught:
        make().add("x", "a", 5, 0.0)

    assert caught.value.status == 400
    assert caught.value.message == "Task size 5 is larger than maximum input batch size 4"


def test_a_full_queue_says_so_and_leaves_what_it_holds() -> None:
    """UNAVAILABLE tells a client to come again; those who wait are served."""
    queues = make()
    queues.add("x", "a", 3, 0.0)
    queues.add("x", "b", 3, 0.0)
    with pytest.raises(RequestError) as caught:
        queues.add("x", "c", 3, 0.0)
    queues.add("x", "d", 1, 0.0)
    queues.add("y", "e", 4, 0.0)

    assert caught.value.status == 503
    assert caught.value.message == (
        "The batch scheduling queue to which this task was submitted is full"
    )
    assert [names(queues.take(0.0)) for _ in range(3)] == [["a"], ["e"], ["b", "d"]]


def test_kinds_take_turns() -> None:
    """A busy model must not keep all batch threads from a quiet one."""
    queues = make()
    for task in ("a", "b"):
        queues.add("busy", task, 4, 0.0)
    queues.add("quiet", "c", 4, 0.0)

    assert [names(queues.take(0.0)) for _ in range(3)] == [["a"], ["c"], ["b"]]


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 5), st.floats(0, 0.5)), max_size=30),
    st.booleans(),
)
def test_every_accepted_request_runs_once_with_its_own_kind_in_order(
    requests: list[tuple[str, int, float]],
    is_eager: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Nobody is lost, doubled, mixed with strangers, or kept beyond the time-out."""
    queues = make()
    accepted: dict[str, list[str]] = {kind: [] for kind in "xyz"}
    run: dict[str, list[str]] = {kind: [] for kind in "xyz"}
    now_s = 0.0

    def take_all() -> None:
        while isinstance(found := queues.take(now_s), Batch):
            (kind,) = {task[0] for task in found.tasks}
            assert found.rows == sum(int(task[1]) for task in found.tasks) <= 4
            run[kind] += found.tasks
        assert found is None or now_s < found <= now_s + RULES.batch_timeout_s

    for number, (kind, rows, pause_s) in enumerate(requests):
        now_s += pause_s
        task = f"{kind}{rows}-{number}"
        try:
            queues.add(kind, task, rows, now_s)
        except RequestError:
            continue
        accepted[kind].append(task)
        if is_eager:
            take_all()
    now_s += RULES.batch_timeout_s
    take_all()

    assert run == accepted
