"""A SavedModel with one input and one output, as every peer calls it, and JSON as an expert has it.

Each peer runs in an environment of its own and imports this file from beside it, so that all of
them, and Windtunnel, run the same TensorFlow on the same model: what differs is the rest. There is
nothing of Windtunnel in it.
"""

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import simdjson
import tensorflow as tf

Array = npt.NDArray[np.float32]


class ServedModel:
    """The model in MODEL_DIR."""

    def __init__(self) -> None:
        # The signature's variables live only as long as what they were loaded with.
        self._loaded = tf.saved_model.load(os.environ["MODEL_DIR"])
        self._predict = self._loaded.signatures["serving_default"]
        ((self.source, spec),) = self._predict.structured_input_signature[1].items()
        ((self.target, answer),) = self._predict.structured_outputs.items()
        # Without the batch; one number is a tensor of none.
        self.source_shape = tuple(spec.shape[1:])
        self.target_shape = tuple(answer.shape[1:])

    def predict(self, inputs: Array) -> Array:
        """Infer."""
        outputs: Array = self._predict(**{self.source: tf.constant(inputs)})[self.target].numpy()
        return outputs


_own = threading.local()


def decode(body: bytes) -> Array:
    """Read a nested list of numbers into an array without making an object of any of them."""
    if not hasattr(_own, "parser"):
        # A parser belongs to the thread that uses it: what it parsed must be gone before the next.
        _own.parser = simdjson.Parser()
    root: Any = _own.parser.parse(body)
    shape, first = [], root
    while isinstance(first, simdjson.Array):
        shape.append(len(first))
        first = first[0]
    return np.frombuffer(root.as_buffer(of_type="d")).astype(np.float32).reshape(shape)


def encode(outputs: Array) -> bytes:
    """Write an answer without making an object of any number."""
    return orjson.dumps({"predictions": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)


def answer(model: ServedModel, body: bytes) -> bytes:
    """Decode, infer and encode in one thread; TensorFlow frees the GIL while it computes."""
    return encode(model.predict(decode(body)))
