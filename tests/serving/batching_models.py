"""Writes models that tell how they were batched: `python batching_models.py DIRECTORY`."""

import sys
from typing import Any

import tensorflow as tf

ROWS = tf.TensorSpec([None], tf.float32, name="x")
TABLE = tf.TensorSpec([None, None], tf.float32, name="x")


def told(x: Any) -> Any:
    """Double each row, and say how many rows ran with it; no row may be negative."""
    with tf.control_dependencies([tf.debugging.assert_non_negative(x)]):
        count = tf.shape(x)[0]
    return {"rows": tf.fill([count], count), "twice": 2 * x}


def summed(x: Any) -> Any:
    return {"sum": tf.reduce_sum(x)}


def paired(x: Any) -> Any:
    return {"pairs": tf.reshape(x, [-1, 2])}


def main(directory: str) -> None:
    module = tf.Module()
    signatures = {
        "serving_default": tf.function(told, input_signature=[ROWS]),
        "table": tf.function(told, input_signature=[TABLE]),
        "summed": tf.function(summed, input_signature=[ROWS]),
        "paired": tf.function(paired, input_signature=[ROWS]),
        "of_two": tf.function(told, input_signature=[tf.TensorSpec([2], tf.float32, name="x")]),
    }
    module.kept = list(signatures.values())
    tf.saved_model.save(module, f"{directory}/told/1", signatures=signatures)


if __name__ == "__main__":
    main(sys.argv[1])
