"""What a model takes and gives: names, types and shapes of tensors.

Values only, shared by codecs and engines, so that neither knows the other. Type names are
TensorFlow's (`DataTypeString`), because they are part of the messages that clients see.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# A tensor of unknown rank has no shape; an unknown dimension is None.
Shape = tuple[int | None, ...] | None
Tensors = Mapping[str, npt.NDArray[np.generic]]

# The signature that TensorFlow Serving uses where a request names none
# (kDefaultServingSignatureDefKey).
DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a tensor's elements, and which numbers JSON may bring for it."""

    name: str
    dtype: np.dtype[np.generic]
    # The range of its finite values.
    low: float = 0
    high: float = 0
    # Whole numbers up to this magnitude are taken without loss; json_tensor.cc's
    # IsLosslessDecimal refuses greater ones for floats.
    whole_max: int = 0

    @property
    def kind(self) -> str:
        """Return numpy's letter of the family: f, i, u, b, or O for strings."""
        return self.dtype.kind


def _floating(name: str, dtype: type[np.floating]) -> TensorType:
    facts = np.finfo(dtype)
    # numpy counts the stored bits of the significand, C's digits the implied one too.
    whole_max = 2 ** (facts.nmant + 1) - 1
    return TensorType(name, np.dtype(dtype), float(facts.min), float(facts.max), whole_max)


def _whole(dtype: type[np.integer]) -> TensorType:
    bounds = np.iinfo(dtype)
    return TensorType(dtype.__name__, np.dtype(dtype), int(bounds.min), int(bounds.max))


TYPES: Mapping[str, TensorType] = {
    found.name: found
    for found in (
        _floating("half", np.float16),
        _floating("float", np.float32),
        _floating("double", np.float64),
        _whole(np.int8),
        _whole(np.int16),
        _whole(np.int32),
        _whole(np.int64),
        _whole(np.uint8),
        _whole(np.uint16),
        _whole(np.uint32),
        _whole(np.uint64),
        TensorType("bool", np.dtype(np.bool_)),
        # Elements are Python's bytes.
        TensorType("string", np.dtype(np.object_)),
    )
}


# numpy's and Python's names of types that TensorFlow's messages call otherwise.
_NAMES = {"float16": "half", "float32": "float", "float64": "double", "object": "string"}


def name_type(name: str) -> str:
    """Return TensorFlow's name of a type that numpy, or TensorFlow's Python, has a name for."""
    return _NAMES.get(name, name)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named tensor of a signature."""

    name: str
    # None: a type that has no form in JSON (complex, quantised, ...); its name says which.
    type: TensorType | None
    type_name: str
    shape: Shape

    def fits(self, shape: Sequence[int]) -> bool:
        """Say whether a tensor of this shape may be fed."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            wanted is None or wanted == actual
            for wanted, actual in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a model; inputs and outputs are ordered by name."""

    name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    method: str = "tensorflow/serving/predict"


def render_shape(shape: Shape) -> str:
    """Return a shape as TensorFlow writes it: [-1,256,256,3], or <unknown>."""
    if shape is None:
        return "<unknown>"
    return "[" + ",".join("-1" if size is None else str(size) for size in shape) + "]"


def element_count(shape: Sequence[int]) -> int:
    """Return how many elements a tensor of this shape has."""
    return math.prod(shape)
