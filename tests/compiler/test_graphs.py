"""Graphs of many kinds, and one graph under many callers."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tests.compiler import networks
from tests.compiler.conftest import Compiled, Compiler, Models, ask, pictures

from windtunnel.compiler.samples import guess_highs
from windtunnel.core import limits
from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.engines.openvino import OpenVinoEngine
from windtunnel.serving.openvino_library import ov


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
    return networks.of_function(
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

    return networks.of_function(directory, answer, x=([None, 3], tf.int64))


@pytest.mark.parametrize("target", ["ml_c5", "ml_g4dn"])
@pytest.mark.parametrize("write", [of_tensorflow_1, with_a_number, with_a_loop])
def test_whatever_tensorflow_loads_is_compiled_to_the_same_answers(
    compiler: Compiler, tmp_path: Path, target: str, write: Callable[[Path], Path]
) -> None:
    """Neo takes two versions of TensorFlow, and simple layers."""
    archive = networks.pack(tmp_path / "a.tar.gz", {"m/1": write(tmp_path / "m" / "1")})

    compiled = compiler(archive, target=target)

    (form,) = compiled.report["candidates"]
    assert form["score"] > 0.9999


def test_a_model_that_makes_bytes_small_is_tried_with_bytes(models: Models) -> None:
    """With values up to 1 its picture is black, and its answers say nothing."""
    assert guess_highs(ov.convert_model(str(models.masks_saved))) == {"inputs": 255.0}
    assert guess_highs(ov.convert_model(str(models.pair_saved))) == {}


def test_callers_at_once_with_several_shapes_each_get_their_own_answer(
    masks: Compiled, tensorflow: Engine
) -> None:
    """A server runs requests side by side; what one run writes, no other may see."""
    engine = masks.load()
    requests = [pictures(1, 32 + 4 * (seed % 3), 32, 3, seed=seed) for seed in range(24)]

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda inputs: ask(engine, inputs=inputs)["outputs"], requests))

    for inputs, answer in zip(requests, got, strict=True):
        assert np.allclose(answer, ask(tensorflow, inputs=inputs)["outputs"], atol=1e-4)


def test_shapes_are_specialised_once_and_not_kept_without_end(
    masks: Compiled, caplog: pytest.LogCaptureFixture
) -> None:
    """Each costs the memory of its weights; whoever sends every size must not fill it."""
    engine = masks.load()
    assert isinstance(engine, OpenVinoEngine)
    sides = [8 + 4 * number for number in range(limits.SPECIALISED_SHAPES_COUNT_MAX + 2)]

    with caplog.at_level(logging.WARNING):
        for side in sides:
            for _ in range(2):
                ask(engine, inputs=pictures(1, side, 8, 3))

    told = [each.message for each in caplog.records if "specialised in" in each.message]
    assert len(told) == len(sides)
    assert len(engine._others) == limits.SPECIALISED_SHAPES_COUNT_MAX


def test_changing_numbers_of_rows_end_in_one_graph_for_all(
    masks: Compiled, tensorflow: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Batches of up to 32 rows would otherwise be compiled for ever, each in a request's time."""
    engine = masks.load()
    assert isinstance(engine, OpenVinoEngine)

    with caplog.at_level(logging.WARNING):
        for rows in (*range(2, 20), 3, 19, 2):
            inputs = pictures(rows, 8, 8, 3, seed=rows)
            got = ask(engine, inputs=inputs)["outputs"]
            assert np.allclose(got, ask(tensorflow, inputs=inputs)["outputs"], atol=1e-4)

    told = [each.message for each in caplog.records if "specialised in" in each.message]
    assert len(told) == limits.SPECIALISED_ROWS_COUNT_MAX + 1
    assert told[-1].endswith(" for any number of rows")
