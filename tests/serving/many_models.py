"""Writes an archive of several models and versions: `python many_models.py DIRECTORY`."""

import sys
from typing import Any

import tensorflow as tf


def pairs(x: Any) -> Any:
    # An odd count cannot be paired: an error of an operation, not of the signature.
    return {"y": tf.reshape(x, [-1, 2])}


def negated(x: Any) -> Any:
    return {"y": -x}


def described(text: Any) -> Any:
    return {
        "length": tf.cast(tf.strings.length(text), tf.int64),
        "upper": tf.strings.upper(text),
        "same_bytes": tf.identity(text),
    }


def masked(ids: Any, mask: Any) -> Any:
    return {"kept": tf.where(mask, ids, tf.zeros_like(ids)), "mask": tf.identity(mask)}


def save(directory: str, functions: dict[str, Any], *specs: Any) -> None:
    module = tf.Module()
    signatures = {}
    for name, function in functions.items():
        signatures[name] = tf.function(function, input_signature=specs)
        setattr(module, name, signatures[name])
    tf.saved_model.save(module, directory, signatures=signatures)


def save_scored(directory: str) -> None:
    """Save a model that classifies and regresses tf.Examples, as only TensorFlow 1 can."""
    v1 = tf.compat.v1
    definitions = v1.saved_model.signature_def_utils
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], name="tf_example")
        spec = v1.io.FixedLenFeature
        features = v1.io.parse_example(
            examples, {"x": spec([], tf.float32), "tag": spec([], tf.string, b"?")}
        )
        value = tf.identity(features["x"] / 2 + 2, name="value")
        low = tf.fill(tf.shape(value), "low")
        labels = tf.stack([low, features["tag"]], 1, name="labels")
        scores = tf.stack([value, -value], 1, name="scores")
        signatures = {
            "serving_default": definitions.regression_signature_def(examples, value),
            "classified": definitions.classification_signature_def(examples, labels, scores),
            "scores_only": definitions.classification_signature_def(examples, None, scores),
            "labels_only": definitions.classification_signature_def(examples, labels, None),
            "wide": definitions.regression_signature_def(examples, scores),
            "predicted": definitions.predict_signature_def({"x": features["x"]}, {"y": value}),
        }
        builder = v1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map=signatures
        )
        builder.save()


def main(directory: str) -> None:
    numbers = tf.TensorSpec([None], tf.float32, name="x")
    save(f"{directory}/a_pairs/1", {"serving_default": pairs}, numbers)
    save(f"{directory}/a_pairs/2", {"serving_default": negated, "paired": pairs}, numbers)
    text = tf.TensorSpec([None], tf.string, name="text")
    save(f"{directory}/deep/down/described/7", {"serving_default": described}, text)
    ids = tf.TensorSpec([None, 2], tf.int64, name="ids")
    mask = tf.TensorSpec([None, 2], tf.bool, name="mask")
    save(f"{directory}/masked/1", {"serving_default": masked}, ids, mask)
    save_scored(f"{directory}/scored/5")


if __name__ == "__main__":
    main(sys.argv[1])
