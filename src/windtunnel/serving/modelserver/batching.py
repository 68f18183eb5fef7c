"""Requests of several clients, run by an engine as one.

Switched on by SAGEMAKER_TFS_ENABLE_BATCHING. The thread that has decoded a request gives its
tensors to a batch and waits; a few batch threads run what `batch_queues.py` says may run: inputs
joined, outputs split. A request is joined with those of the same model, version and signature whose
tensors have the same types and, but for their rows, the same shapes.

Rules: what a request does wrong is its own failure (its shapes are checked before it is joined, and
the requests of a joined run that fails are run one by one). A signature that cannot be batched is
run as if batching were off, and the log says so once, with the reason.
"""

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from windtunnel.core import limits
from windtunnel.serving.engines.engine import Engine, check_shapes
from windtunnel.serving.errors import RequestError
from windtunnel.serving.modelserver.batch_queues import Batch, BatchQueues, BatchRules
from windtunnel.serving.tensors import Signature, Tensors

logger = logging.getLogger(__name__)


class Batcher:
    """The threads that run batches, shared by all models of a process."""

    def __init__(
        self,
        rules: BatchRules,
        *,
        logs_batches: bool,
        # Told the rows of each batch.
        on_batch: Callable[[int], None],
    ) -> None:
        self._queues: BatchQueues[_Call] = BatchQueues(rules)
        self._logs_batches = logs_batches
        self._on_batch = on_batch
        self._changed = threading.Condition()
        for index in range(rules.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True).start()

    def run(self, call: "_Call") -> Tensors:
        """Return a call's outputs, when it has been run; raise what its run has raised."""
        with self._changed:
            self._queues.add(call.kind, call, call.rows, time.monotonic())
            self._changed.notify()
        return call.wait()

    def _work(self) -> None:
        while True:
            batch = self._wait_batch()
            self._on_batch(batch.rows)
            started_s = time.monotonic()
            _run(batch)
            if self._logs_batches:
                logger.info(
                    "ran a batch of %d rows of %d requests, %.1f ms",
                    batch.rows,
                    len(batch.tasks),
                    (time.monotonic() - started_s) * 1000,
                )

    def _wait_batch(self) -> "Batch[_Call]":
        with self._changed:
            while True:
                now_s = time.monotonic()
                found = self._queues.take(now_s)
                if isinstance(found, Batch):
                    # Another thread may be asleep over what is left.
                    self._changed.notify()
                    return found
                wait_s = limits.BATCH_WAIT_S_MAX if found is None else found - now_s
                self._changed.wait(min(wait_s, limits.BATCH_WAIT_S_MAX))


class BatchingEngine:
    """A loaded model whose runs are shared."""

    def __init__(self, engine: Engine, batcher: Batcher, name: str) -> None:
        self.engine = engine
        self.signatures = engine.signatures
        self.definitions = engine.definitions
        self._batcher = batcher
        self._name = name
        self._alone: set[str] = set()
        # Of two batch threads that find the same, one says it.
        self._telling = threading.Lock()
        for signature in self.signatures.values():
            obstacle = find_obstacle(signature)
            if obstacle is not None:
                self.leave_alone(signature, obstacle)

    def leave_alone(self, signature: Signature, reason: str) -> None:
        """Run the requests of a signature by themselves from now on."""
        with self._telling:
            if signature.name in self._alone:
                return
            self._alone.add(signature.name)
        logger.warning(
            "SAGEMAKER_TFS_ENABLE_BATCHING=true has no effect on %s, signature %s: %s.",
            self._name,
            signature.name,
            reason,
        )

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        check_shapes(signature, inputs)
        if signature.name in self._alone:
            return self.engine.run(signature, inputs)
        rows = count_rows(inputs)
        if rows == 0:
            return self.engine.run(signature, inputs)
        return self._batcher.run(_Call(self, signature, inputs, rows))

    def warm_up(self) -> None:
        """Warm up the model itself: nothing here has to be."""
        self.engine.warm_up()


def find_obstacle(signature: Signature) -> str | None:
    """Return why the requests of a signature can never be joined, None if they may be."""
    for kind, specs in (("input", signature.inputs), ("output", signature.outputs)):
        for name, spec in specs.items():
            if spec.shape == ():
                return f"its {kind} {name} has no batch dimension"
            if spec.shape is not None and spec.shape[0] is not None:
                return f"its {kind} {name} has always {spec.shape[0]} rows"
    return None


def count_rows(inputs: Tensors) -> int:
    """Return how many rows all inputs have, or refuse as TensorFlow Serving's batching does."""
    counts = set()
    for tensor in inputs.values():
        if tensor.ndim == 0:
            raise RequestError("Batching Run() input tensors must have at least one dimension")
        counts.add(tensor.shape[0])
    if len(counts) != 1:
        raise RequestError("Batching Run() input tensors must have equal 0th-dimension size")
    return int(counts.pop())


class _Call:
    """One request's tensors on their way through a batch."""

    __slots__ = ("_done", "_outcome", "engine", "inputs", "kind", "rows", "signature")

    def __init__(
        self, engine: BatchingEngine, signature: Signature, inputs: Tensors, rows: int
    ) -> None:
        self.engine = engine
        self.signature = signature
        self.inputs = inputs
        self.rows = rows
        # By name: clients write their inputs in any order.
        shapes = tuple((name, each.dtype, each.shape[1:]) for name, each in sorted(inputs.items()))
        self.kind = (id(engine), signature.name, shapes)
        self._outcome: Tensors | Exception = RequestError("The batch was not run.", 500)
        # Held until there is an outcome; the cheapest thing there is to wait for.
        self._done = threading.Lock()
        self._done.acquire()

    def finish(self, outcome: Tensors | Exception) -> None:
        """Let the request go on with its outcome."""
        self._outcome = outcome
        self._done.release()

    def wait(self) -> Tensors:
        """Return the outcome when it is there, or raise it."""
        self._done.acquire()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def run_alone(self) -> None:
        """Run the request by itself."""
        try:
            outcome: Tensors | Exception = self.engine.engine.run(self.signature, self.inputs)
        except Exception as error:  # noqa: BLE001 - it is raised where the request waits
            outcome = error
        self.finish(outcome)


def _run(batch: Batch[_Call]) -> None:
    """Run a batch; each of its requests has an outcome afterwards."""
    calls = batch.tasks
    shares = _run_joined(batch) if len(calls) > 1 else None
    for index, call in enumerate(calls):
        if shares is None:
            call.run_alone()
        else:
            call.finish(shares[index])


def _run_joined(batch: Batch[_Call]) -> list[Tensors] | None:
    """Return each request's outputs of one run; None when they must be run one by one."""
    first = batch.tasks[0]
    try:
        inputs = {
            name: np.concatenate([call.inputs[name] for call in batch.tasks])
            for name in first.inputs
        }
        outputs = first.engine.engine.run(first.signature, inputs)
        obstacle = _find_stray_output(outputs, batch.rows)
    except Exception as error:  # noqa: BLE001 - whose it is will be seen
        logger.info("a batch failed, its requests are run one by one: %s", error)
        return None
    if obstacle is not None:
        first.engine.leave_alone(first.signature, obstacle)
        return None
    # Views: rows lie together in memory.
    shares: list[Tensors] = []
    start = 0
    for call in batch.tasks:
        end = start + call.rows
        shares.append({name: output[start:end] for name, output in outputs.items()})
        start = end
    return shares


def _find_stray_output(outputs: Tensors, rows: int) -> str | None:
    """Return which output cannot be given back to its requests by rows, None if all can."""
    for name, output in outputs.items():
        if output.ndim == 0 or output.shape[0] != rows:
            found = output.shape[0] if output.ndim else "no"
            return f"its output {name} has {found} rows for a batch of {rows}"
    return None
