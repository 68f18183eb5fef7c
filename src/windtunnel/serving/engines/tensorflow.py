"""TensorFlow, the baseline engine: a SavedModel as it is.

It is loaded and run as TensorFlow Serving does it: a session for each graph, and for each
signature a callable that feeds and fetches its tensors by name. TensorFlow's Python functions,
which `tf.saved_model.load` makes, take the same graphs 130 µs a call later, and this way 4 (of a
graph of two operations; 2026-11-26).

TensorFlow starts its threads with its first operation. So the number of them is set, and the first
model loaded, only in the process that serves; a parent may import TensorFlow, no more. The first
session's threads are every session's.

Found out with TensorFlow 2.21, x86-64 wheel, 2026-11-22: importing it starts no thread (numpy's
OpenBLAS does, unless OPENBLAS_NUM_THREADS is 1). Left to itself it takes as many intra-op threads
as the process's affinity has cores, also after a fork. The wheel brings no OpenMP, so
OMP_NUM_THREADS changes nothing.
"""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from windtunnel.core import limits
from windtunnel.serving.engines.engine import Threads, check_shapes
from windtunnel.serving.errors import Code, LoadError, RequestError
from windtunnel.serving.signatures import read_signature
from windtunnel.serving.tensors import Signature, Tensors

logger = logging.getLogger(__name__)

# tf.errors, to the HTTP status that TensorFlow Serving answers (ToHTTPStatusCode in
# util/net_http's http_rest_api_util.cc).
_STATUSES: Mapping[type[Exception], int] = {
    tf.errors.InvalidArgumentError: 400,
    tf.errors.FailedPreconditionError: 412,
    tf.errors.OutOfRangeError: 400,
    tf.errors.NotFoundError: 404,
    tf.errors.UnimplementedError: 501,
    tf.errors.ResourceExhaustedError: 503,
    tf.errors.UnavailableError: 503,
}
# Around the reason, TensorFlow tells of its graph: a preamble (of a TensorFlow 1 model with the
# lines of ours that loaded it), and the node at the end.
_PREAMBLE = re.compile(
    r"\A(?:\{\{.*?\}\} )?(?:Graph execution error:\s+)?(?:Detected at .*?\n)?"
    r'(?:\s*File "[^"\n]*", line \d+, in [^\n]*\n\s*)*',
    re.DOTALL,
)
_NODE = re.compile(r"\s*\[\[\{\{node.*|\s*\[Op:\w+\].*", re.DOTALL)
# Of a SavedModel's graphs, the one that TensorFlow Serving takes (kSavedModelTagServe).
_TAG = "serve"
# What stands among the signatures and is none: __saved_model_init_op, __saved_model_train_op.
_NO_SIGNATURE = "__saved_model_"
# ConfigProto and RunOptions: no pool, the thread that asks runs all operations.
_CALLERS_THREAD = -1
# How often each way of a graph is timed, after a first run. Odd, and as few as tell 4 µs from 60.
_TIMED_RUN_COUNT = 5

_Run = Callable[..., Sequence[npt.NDArray[np.generic]]]


class Runtime:
    """TensorFlow in this process; made once, before its first operation."""

    def __init__(self, threads: Threads, gpu_fraction: float | None = None) -> None:
        """Take how many threads it may start, and how much of each GPU's memory it may have."""
        self._inter_op = threads.inter_op
        self._config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=threads.intra_op,
            # One thread would be one for all requests: each may as well stay on its own.
            inter_op_parallelism_threads=(
                _CALLERS_THREAD if threads.inter_op == 1 else threads.inter_op
            ),
        )
        if gpu_fraction is not None:
            # What TensorFlow Serving's flag of the same name sets.
            self._config.gpu_options.per_process_gpu_memory_fraction = gpu_fraction

    def load(self, directory: Path) -> "TensorFlowEngine":
        """Return a SavedModel, or raise LoadError."""
        return TensorFlowEngine(directory, self._config, chooses_pool=not self._inter_op)


def has_gpu() -> bool:
    """Say whether this TensorFlow uses a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


class TensorFlowEngine:
    """A SavedModel in this process."""

    def __init__(
        self, directory: Path, config: config_pb2.ConfigProto, *, chooses_pool: bool
    ) -> None:
        """Load it; `chooses_pool` leaves to `warm_up` whether a pool of threads is of use."""
        self._chooses_pool = chooses_pool
        self._pool = 0
        self._runs: dict[str, _Run] = {}
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with _silence():
                graph = tf.compat.v1.saved_model.load(self._session, [_TAG], str(directory))
        except Exception as error:
            # TensorFlow raises whatever its many layers raise: OSError, ValueError, KeyError,
            # DataLossError, protobuf's DecodeError.
            raise LoadError(
                f"TensorFlow cannot load {directory.parent.name}/{directory.name}: {error}"
            ) from error
        self.definitions: Mapping[str, Any] = dict(sorted(graph.signature_def.items()))
        self.signatures: Mapping[str, Signature] = {
            name: read_signature(name, definition)
            for name, definition in self.definitions.items()
            if not name.startswith(_NO_SIGNATURE)
        }
        if not self.signatures:
            raise LoadError(f"The SavedModel in {directory.name} has no signature to call.")

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        check_shapes(signature, inputs)
        try:
            run = self._runs.get(signature.name) or self._make_run(signature.name)
            outputs = run(*(inputs[name] for name in signature.inputs))
        except tf.errors.OpError as error:
            status = next((s for kind, s in _STATUSES.items() if isinstance(error, kind)), 500)
            raise RequestError(_reason(error.message), status, Code(error.error_code)) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def _make_run(self, name: str) -> _Run:
        """Return what runs a signature; the first call of it optimises the graph."""
        definition, signature = self.definitions[name], self.signatures[name]
        options = config_pb2.CallableOptions(
            feed=[definition.inputs[key].name for key in signature.inputs],
            fetch=[definition.outputs[key].name for key in signature.outputs],
            run_options=config_pb2.RunOptions(inter_op_thread_pool=self._pool),
        )
        # `make_callable` is the public form; with tensors to feed it is `run`, 35 µs a call.
        run: _Run = self._session._make_callable_from_options(options)  # noqa: SLF001
        self._runs[name] = run
        return run

    def warm_up(self) -> None:
        """Run the default signature on zeros: TensorFlow optimises its graph at first use."""
        signature = self.signatures.get("serving_default") or next(iter(self.signatures.values()))
        inputs = _likely_inputs(signature)
        if inputs is None:
            return
        # What a model cannot do with a guess says nothing about what it can do with a request.
        with contextlib.suppress(RequestError):
            self.run(signature, inputs)
            if self._chooses_pool:
                self._choose_pool(signature, inputs)

    def _choose_pool(self, signature: Signature, inputs: Tensors) -> None:
        """Leave a graph that is done at once to the thread that asks for it.

        A pool runs operations beside each other that do not need each other. To hand a graph to it
        and to wait for the answer takes 20 µs of CPU, five times what a graph of two operations
        takes (2026-11-26).
        """
        if self._time(signature, inputs, 1) > limits.POOL_CHOICE_RUN_S_MAX:
            return
        pooled_s = self._time(signature, inputs, _TIMED_RUN_COUNT)
        self._pool = _CALLERS_THREAD
        self._runs.clear()
        self.run(signature, inputs)
        alone_s = self._time(signature, inputs, _TIMED_RUN_COUNT)
        if alone_s > pooled_s:
            self._pool = 0
            self._runs.clear()
        logger.info(
            "%s runs in the thread of its request: %.0f µs; with a pool of inter-op threads: %.0f",
            signature.name,
            alone_s * 1e6,
            pooled_s * 1e6,
        )

    def _time(self, signature: Signature, inputs: Tensors, count: int) -> float:
        times_s = []
        for _ in range(count):
            begin_s = time.perf_counter()
            self.run(signature, inputs)
            times_s.append(time.perf_counter() - begin_s)
        return min(times_s)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the loader says of its own age, and of each file, out of a container's log."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _likely_inputs(signature: Signature) -> Tensors | None:
    """Return zeros, or empty strings, of small shapes; None where that cannot be guessed."""
    inputs = {}
    for name, spec in signature.inputs.items():
        if spec.type is None or spec.shape is None:
            return None
        shape = _likely_shape(spec.shape)
        if np.prod(shape, dtype=float) > limits.WARM_UP_ELEMENT_COUNT_MAX:
            return None
        fill = b"" if spec.type.kind == "O" else 0
        inputs[name] = np.full(shape, fill, spec.type.dtype)
    return inputs


def _likely_shape(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Guess a small shape: one row; other open dimensions as a small picture's."""
    return tuple(
        size if size is not None else 1 if axis == 0 else limits.WARM_UP_OPEN_SIZE
        for axis, size in enumerate(shape)
    )


def _reason(message: str) -> str:
    """Return what an operation said, without the story of where in the graph it stood."""
    text = message.rpartition("<stack traces unavailable>")[2]
    text = _NODE.sub("", _PREAMBLE.sub("", text.strip())).strip()
    return text or message.strip()
