"""TensorFlow, the baseline engine: a SavedModel as it is.

TensorFlow starts its threads with its first operation. So the number of them is set, and the first
model loaded, only in the process that serves; a parent may import TensorFlow, no more.

Found out with TensorFlow 2.21, x86-64 wheel, 2026-11-22: importing it starts no thread (numpy's
OpenBLAS does, unless OPENBLAS_NUM_THREADS is 1). Left to itself it takes as many intra-op threads
as the process's affinity has cores, also after a fork. The wheel brings no OpenMP, so
OMP_NUM_THREADS changes nothing.
"""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from windtunnel.core import limits
from windtunnel.serving.engines.engine import Threads, check_shapes
from windtunnel.serving.errors import Code, LoadError, RequestError
from windtunnel.serving.tensors import TYPES, Shape, Signature, Tensors, TensorSpec, name_type

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


def configure(threads: Threads) -> None:
    """Set how many threads TensorFlow will start; only before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(threads.intra_op)
    tf.config.threading.set_inter_op_parallelism_threads(threads.inter_op)


def share_gpus(fraction: float, totals_mib: Sequence[int]) -> str | None:
    """Let this process have so much of each GPU's memory; return why it cannot be done."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "this TensorFlow uses no GPU"
    if len(gpus) > len(totals_mib):
        return "how much memory the GPU has is not known"
    for gpu, total_mib in zip(gpus, totals_mib, strict=False):
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=int(total_mib * fraction))
        tf.config.set_logical_device_configuration(gpu, [limit])
    return None


class TensorFlowEngine:
    """A SavedModel in this process."""

    def __init__(self, directory: Path) -> None:
        try:
            # The functions hang from the loaded object: it must live as long as they do.
            self._model: Any = tf.saved_model.load(str(directory))
        except Exception as error:
            # TensorFlow raises whatever its many layers raise: OSError, ValueError, KeyError,
            # DataLossError, protobuf's DecodeError.
            raise LoadError(
                f"TensorFlow cannot load {directory.parent.name}/{directory.name}: {error}"
            ) from error
        self._functions: dict[str, Callable[..., Mapping[str, Any]]] = dict(self._model.signatures)
        self.signatures: Mapping[str, Signature] = {
            name: _read_signature(name, function) for name, function in self._functions.items()
        }
        if not self.signatures:
            raise LoadError(f"The SavedModel in {directory.name} has no signature to call.")

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        check_shapes(signature, inputs)
        try:
            outputs = self._functions[signature.name](
                **{name: tf.constant(tensor) for name, tensor in inputs.items()}
            )
            return {name: outputs[name].numpy() for name in signature.outputs}
        except tf.errors.OpError as error:
            status = next((s for kind, s in _STATUSES.items() if isinstance(error, kind)), 500)
            raise RequestError(_reason(error.message), status, Code(error.error_code)) from error
        except (ValueError, TypeError) as error:
            # The function's own check of its arguments.
            raise RequestError(str(error)) from error

    def warm_up(self) -> None:
        """Run the default signature once on zeros: TensorFlow optimises its graph at first use."""
        signature = self.signatures.get("serving_default") or next(iter(self.signatures.values()))
        inputs = {}
        for name, spec in signature.inputs.items():
            if spec.type is None or spec.shape is None:
                return
            shape = _likely_shape(spec.shape)
            if np.prod(shape, dtype=float) > limits.WARM_UP_ELEMENT_COUNT_MAX:
                return
            fill = b"" if spec.type.kind == "O" else 0
            inputs[name] = np.full(shape, fill, spec.type.dtype)
        # What a model cannot do with a guess says nothing about what it can do with a request.
        with contextlib.suppress(RequestError):
            self.run(signature, inputs)


def _likely_shape(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Guess a small shape: one row; other open dimensions as a small picture's."""
    return tuple(
        size if size is not None else 1 if axis == 0 else limits.WARM_UP_OPEN_SIZE
        for axis, size in enumerate(shape)
    )


def _read_signature(name: str, function: Any) -> Signature:  # noqa: ANN401 - TensorFlow is untyped
    _, inputs = function.structured_input_signature
    return Signature(
        name,
        {key: _read_spec(key, inputs[key]) for key in sorted(inputs)},
        {
            key: _read_spec(key, function.structured_outputs[key])
            for key in sorted(function.structured_outputs)
        },
    )


def _read_spec(name: str, found: Any) -> TensorSpec:  # noqa: ANN401 - TensorFlow is untyped
    type_name = name_type(found.dtype.name)
    shape: Shape = None if found.shape.rank is None else tuple(found.shape.as_list())
    return TensorSpec(name, TYPES.get(type_name), type_name, shape)


def _reason(message: str) -> str:
    """Return what an operation said, without the story of where in the graph it stood."""
    text = message.rpartition("<stack traces unavailable>")[2]
    text = _NODE.sub("", _PREAMBLE.sub("", text.strip())).strip()
    return text or message.strip()
