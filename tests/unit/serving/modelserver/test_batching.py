"""Requests meet in a batch whatever their threads do, and each gets what is its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from windtunnel.serving.errors import RequestError
from windtunnel.serving.modelserver.batch_queues import BatchRules
from windtunnel.serving.modelserver.batching import Batcher, BatchingEngine, find_obstacle
from windtunnel.serving.tensors import TYPES, Shape, Signature, Tensors, TensorSpec

# Longer than any test: only full batches run.
NEVER_S = 1e12
FLOAT = TYPES["float"]


def specs(**shapes: Shape) -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, FLOAT, "float", shape) for name, shape in shapes.items()}


def signature(inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec]) -> Signature:
    return Signature("serving_default", inputs, outputs)


SUM = signature(specs(a=(None,), b=(None,)), specs(y=(None,)))


class Engine:
    """A runtime that does what it is given, and counts."""

    def __init__(self, work: Callable[[Tensors], Tensors]) -> None:
        self.signatures = {"serving_default": SUM}
        self.definitions: dict[str, object] = {}
        self.work = work
        self.run_rows: list[int] = []
        self.warm_ups = 0

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        self.run_rows.append(inputs["a"].shape[0])
        return self.work(inputs)

    def warm_up(self) -> None:
        self.warm_ups += 1


def add(inputs: Tensors) -> Tensors:
    return {"y": np.add(inputs["a"], inputs["b"])}


def batched(engine: Engine, size: int = 2, timeout_s: float = NEVER_S) -> BatchingEngine:
    rules = BatchRules(size, timeout_s, num_batch_threads=2, max_enqueued_batches=2)
    batcher = Batcher(rules, logs_batches=False, on_batch=lambda _: None)
    return BatchingEngine(engine, batcher, "model/1")


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_inputs_meet_in_whatever_order_they_are_written() -> None:
    """A JSON object has no order, and clients of two languages write two."""
    engine = Engine(add)
    shared = batched(engine)
    requests = [{"a": floats(1), "b": floats(2)}, {"b": floats(20), "a": floats(10)}]
    with ThreadPoolExecutor(2) as clients:
        found = list(clients.map(lambda inputs: shared.run(SUM, inputs), requests))

    assert [each["y"].tolist() for each in found] == [[3.0], [30.0]]
    assert engine.run_rows == [2]


def test_many_clients_of_many_sizes_get_their_own_sums() -> None:
    """No schedule of threads may mix up two requests."""
    engine = Engine(add)
    shared = batched(engine, size=8, timeout_s=0.001)

    def ask(number: int) -> bool:
        rows = number % 3 + 1
        a = np.arange(rows, dtype=np.float32) + 100 * number
        try:
            found = shared.run(SUM, {"a": a, "b": -a / 2})["y"]
        except RequestError as error:
            return error.status == 503
        return bool((found == a / 2).all())

    with ThreadPoolExecutor(8) as clients:
        assert all(clients.map(ask, range(400)))
    assert max(engine.run_rows) <= 8


def test_any_failure_reaches_the_request_that_waits() -> None:
    """A thread that waited for ever would be a request that hangs, and a thread less."""

    def fail(inputs: Tensors) -> Tensors:
        raise MemoryError(f"no room for {len(inputs['a'])}")

    shared = batched(Engine(fail), size=1)
    for _ in range(3):
        with pytest.raises(MemoryError, match="no room for 1"):
            shared.run(SUM, {"a": floats(1), "b": floats(1)})


def test_what_is_wrong_with_a_request_is_said_before_it_is_joined() -> None:
    """TensorFlow Serving's words; nobody who waits hears of it."""
    engine = Engine(add)
    shared = batched(engine, size=1)

    with pytest.raises(RequestError, match="must have equal 0th-dimension size"):
        shared.run(SUM, {"a": floats(1, 2), "b": floats(1)})
    with pytest.raises(RequestError, match=r"a has shape \[1,1\], which is not the signature's"):
        shared.run(SUM, {"a": np.ones((1, 1), np.float32), "b": floats(1)})
    open_shape = signature(specs(a=None, b=None), specs(y=None))
    with pytest.raises(RequestError, match="must have at least one dimension"):
        shared.run(open_shape, {"a": np.array(1, np.float32), "b": floats(1)})
    assert engine.run_rows == []


def test_a_request_without_rows_needs_no_company() -> None:
    """An empty batch would never be full."""
    assert batched(Engine(add)).run(SUM, {"a": floats(), "b": floats()})["y"].shape == (0,)


def test_outputs_without_rows_end_batching_for_their_signature() -> None:
    """The first batch finds it out; its requests, and all later ones, run by themselves."""
    engine = Engine(lambda inputs: {"y": np.sum(inputs["a"], keepdims=True)})
    shared = batched(engine)
    requests = [{"a": floats(1), "b": floats(0)}, {"a": floats(2), "b": floats(0)}]
    with ThreadPoolExecutor(2) as clients:
        found = list(clients.map(lambda inputs: shared.run(SUM, inputs), requests))
    alone = shared.run(SUM, {"a": floats(4), "b": floats(0)})

    assert [each["y"].tolist() for each in (*found, alone)] == [[1.0], [2.0], [4.0]]
    assert engine.run_rows == [2, 1, 1, 1]


def test_a_model_is_warmed_up_as_without_batching() -> None:
    """The first request should not pay for the engine's start, nor wait for company."""
    engine = Engine(add)
    batched(engine).warm_up()

    assert engine.warm_ups == 1


@pytest.mark.parametrize(
    ("inputs", "outputs", "obstacle"),
    [
        (specs(x=(None, 3)), specs(y=(None,)), None),
        (specs(x=None), specs(y=None), None),
        (specs(x=()), specs(y=(None,)), "its input x has no batch dimension"),
        (specs(x=(1, 3)), specs(y=(None,)), "its input x has always 1 rows"),
        (specs(x=(None,)), specs(y=()), "its output y has no batch dimension"),
    ],
)
def test_shapes_tell_what_can_never_be_joined(
    inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec], obstacle: str | None
) -> None:
    """Known before the first request, and said when the model is loaded."""
    assert find_obstacle(signature(inputs, outputs)) == obstacle


def test_batch_threads_end_with_their_process() -> None:
    """A container that is stopped must not wait for them."""
    batched(Engine(add))

    names = [each for each in threading.enumerate() if each.name.startswith("batch-")]
    assert names
    assert all(each.daemon for each in names)
