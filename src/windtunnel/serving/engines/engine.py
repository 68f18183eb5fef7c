"""What a model server asks of an engine.

An engine is made in the process that serves, after its last fork: runtimes start threads with the
first model, and threads do not survive a fork. `run` is called from several threads at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import Signature, Tensors, render_shape


@dataclass(frozen=True, slots=True)
class Threads:
    """How parallel one engine may be; 0 leaves it to the engine, which looks at its cores."""

    intra_op: int = 0
    inter_op: int = 0


class Engine(Protocol):
    """A loaded model."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The ways to call it, by name."""
        ...

    @property
    def definitions(self) -> Mapping[str, Any]:
        """TensorFlow's SignatureDefs by name, also of what cannot be called."""
        ...

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        ...

    def warm_up(self) -> None:
        """Do what the first request would otherwise have to wait for, as far as it is known."""
        ...


def zeros(signature: Signature, shapes: Mapping[str, Sequence[int]]) -> Tensors:
    """Return zeros of these shapes for the inputs of a signature, all of types that are served."""
    inputs = {}
    for name, spec in signature.inputs.items():
        assert spec.type is not None
        inputs[name] = np.zeros(shapes[name], spec.type.dtype)
    return inputs


def check_shapes(signature: Signature, inputs: Tensors) -> None:
    """Refuse inputs that the signature excludes, before an engine speaks of its inner nodes."""
    for name, spec in signature.inputs.items():
        shape = inputs[name].shape
        if not spec.fits(shape):
            raise RequestError(
                f"Tensor name: {name} has shape {render_shape(shape)},"
                f" which is not the signature's {render_shape(spec.shape)}"
            )
