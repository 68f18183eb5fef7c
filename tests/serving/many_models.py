"""Writes an archive of several models and versions: `python many_models.py DIRECTORY`."""

import sys
from typing import Any

import tensorflow as tf


def save(directory: str, functions: dict[str, Any]) -> None:
    module = tf.Module()
    module.functions = list(functions.values())
    tf.saved_model.save(module, directory, signatures=functions)


def main(directory: str) -> None:
    numbers = tf.TensorSpec([None], tf.float32, name="x")

    @tf.function(input_signature=[numbers])
    def pairs(x: Any) -> Any:
        # An odd count cannot be paired: an error of an operation, not of the signature.
        return {"y": tf.reshape(x, [-1, 2])}

    @tf.function(input_signature=[numbers])
    def negated(x: Any) -> Any:
        return {"y": -x}

    save(f"{directory}/a_pairs/1", {"serving_default": pairs})
    save(f"{directory}/a_pairs/2", {"serving_default": negated, "paired": pairs})

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def describe(text: Any) -> Any:
        return {
            "length": tf.strings.length(text, out_type=tf.int64),
            "upper": tf.strings.upper(text),
            "same_bytes": tf.identity(text),
        }

    save(f"{directory}/deep/down/describe/7", {"serving_default": describe})

    ids = tf.TensorSpec([None, 2], tf.int64, name="ids")
    mask = tf.TensorSpec([None, 2], tf.bool, name="mask")

    @tf.function(input_signature=[ids, mask])
    def masked(ids: Any, mask: Any) -> Any:
        return {"kept": tf.where(mask, ids, tf.zeros_like(ids)), "mask": mask}

    save(f"{directory}/masked/1", {"serving_default": masked})


if __name__ == "__main__":
    main(sys.argv[1])
