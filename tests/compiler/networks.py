"""Tiny models in every format that is compiled, each an archive as a user would bring it."""

import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

SIDE_PX = 32


def pack(archive: Path, files: Mapping[str, Path | str]) -> Path:
    """Write a .tar.gz of files and folders, each under its name; text is a file's content."""
    with tarfile.open(archive, "w:gz") as tar:
        for name, source in files.items():
            if isinstance(source, str):
                path = archive.with_name("text")
                path.write_text(source)
                tar.add(path, name)
            else:
                tar.add(source, name)
    return archive


def _random() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(3))


def masks(directory: Path) -> Path:
    """Write a segmentation of pictures of bytes, of any size; about half of a mask is set."""
    random = _random()
    module = tf.Module()
    module.weights = [
        tf.Variable(random.normal(0, size, shape).astype(np.float32))
        for size, shape in ((0.3, (3, 3, 3, 16)), (0.3, (3, 3, 16, 16)), (2, (1, 1, 16, 1)))
    ]

    def answer(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        first, second, last = module.weights
        value = inputs / 255.0 - 0.5
        value = tf.nn.relu(tf.nn.conv2d(value, first, 1, "SAME"))
        value = tf.nn.relu(tf.nn.conv2d(value, second, 1, "SAME"))
        value = tf.nn.conv2d(value, last, 1, "SAME")
        return {"outputs": tf.sigmoid(8 * (value - tf.reduce_mean(value)))}

    def means(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mean": tf.reduce_mean(inputs)}

    source = tf.TensorSpec([None, None, None, 3], tf.float32, name="inputs")
    signatures = {
        "serving_default": tf.function(answer).get_concrete_function(source),
        "means": tf.function(means).get_concrete_function(source),
    }
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return directory


def of_function(
    directory: Path, function: Callable[..., Any], **inputs: tuple[list[int | None], Any]
) -> Path:
    """Write a SavedModel of one function, its inputs by name: shape and type."""
    module = tf.Module()
    specs = {name: tf.TensorSpec(shape, kind, name=name) for name, (shape, kind) in inputs.items()}
    concrete = tf.function(function).get_concrete_function(**specs)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": concrete})
    return directory


def two_by_two(directory: Path) -> Path:
    """Write a model of two inputs and two outputs, that no two may be swapped of."""
    random = _random()
    left = tf.constant(random.normal(0, 1, (4, 6)).astype(np.float32))

    def answer(zeta: tf.Tensor, alpha: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "sum": tf.matmul(zeta, left) + 10 * alpha,
            "difference": tf.matmul(zeta, left) - alpha,
        }

    return of_function(
        directory, answer, zeta=([None, 4], tf.float32), alpha=([None, 6], tf.float32)
    )


def keras_model(layers: list[Any]) -> Any:
    import keras

    keras.utils.set_random_seed(5)
    return keras.Sequential([keras.Input((SIDE_PX, SIDE_PX, 3)), *layers])


def keras_layers(*, with_lambda: bool) -> list[Any]:
    import keras

    extra = [keras.layers.Lambda(lambda value: value * 2)] if with_lambda else []
    return [
        *extra,
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(5),
    ]


def tflite(path: Path, saved: Path) -> Path:
    path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert())
    return path


def onnx_ending_in_identity(path: Path) -> Path:
    """Write an ONNX model whose outputs are also called something else inside.

    Its weights are in `weights.bin` beside it, as those of large models are.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = _random().normal(0, 1, (6, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["a_inner"]),
            helper.make_node("Identity", ["a_inner"], ["score"]),
            helper.make_node("Relu", ["a_inner"], ["b_inner"]),
            helper.make_node("Identity", ["b_inner"], ["z"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])],
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 4]),
        ],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def of_tensorflow_1(directory: Path) -> Path:
    """Write what TensorFlow 1 exported, as Neo's 1.15 takes it."""
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        source = tf.compat.v1.placeholder(tf.float32, [None, 3], name="deep/x")
        weights = tf.compat.v1.get_variable("w", initializer=tf.constant([[1.0], [2.0], [3.0]]))
        answer = tf.matmul(source, weights, name="deep/y")
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(
            session, str(directory), {"inputs": source}, {"scores": answer}
        )
    return directory


def with_a_number(directory: Path) -> Path:
    """Write a model with an input that has no dimensions."""
    return of_function(
        directory,
        lambda x, limit: {"over": tf.where(x > limit, x, limit)},
        x=([None, 3], tf.float32),
        limit=([], tf.float32),
    )


def with_a_loop(directory: Path) -> Path:
    """Write a model that has control flow, and takes and gives whole numbers."""

    def answer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        _, value = tf.while_loop(
            lambda count, _: count < 3,
            lambda count, value: (count + 1, value * 2 + 1),
            [tf.constant(0), x],
            shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 3])],
        )
        return {"value": value, "same": value}

    return of_function(directory, answer, x=([None, 3], tf.int64))
