"""A SignatureDef, which TensorFlow keeps beside a graph, to the signature that codecs go by."""

from typing import Any

from tensorflow.core.framework import types_pb2

from windtunnel.serving.tensors import TYPES, Shape, Signature, TensorSpec

_TYPE_PREFIX = "DT_"


def read_signature(name: str, definition: Any) -> Signature:  # noqa: ANN401 - protobuf's
    """Return what a SignatureDef says."""
    return Signature(
        name,
        {key: _read_spec(key, definition.inputs[key]) for key in sorted(definition.inputs)},
        {key: _read_spec(key, definition.outputs[key]) for key in sorted(definition.outputs)},
        definition.method_name,
    )


def _read_spec(name: str, found: Any) -> TensorSpec:  # noqa: ANN401 - protobuf's
    type_name = types_pb2.DataType.Name(found.dtype).removeprefix(_TYPE_PREFIX).lower()
    shape: Shape = None
    if not found.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in found.tensor_shape.dim)
    return TensorSpec(name, TYPES.get(type_name), type_name, shape)
