"""TensorFlow's own way with its messages, for the tests that hold ours to it.

TensorFlow is imported by who asks, not by who collects the tests: it takes seconds.
"""

from typing import Any


def make_proto(values: Any) -> Any:
    """Return the message that most clients would write."""
    import tensorflow as tf

    return tf.make_tensor_proto(values)


def make_array(proto: Any) -> Any:
    """Return the array that most clients would read."""
    import tensorflow as tf

    return tf.make_ndarray(proto)


def new_proto(dtype: str | int | None = None, *shape: int, **fields: Any) -> Any:
    """Return a message of these fields, whether they go together or not."""
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

    proto = tensor_pb2.TensorProto(**fields)
    if dtype is not None:
        proto.dtype = tf.as_dtype(dtype).as_datatype_enum
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto
