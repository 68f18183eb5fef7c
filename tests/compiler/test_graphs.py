"""Graphs of many kinds, and one graph under many callers."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compiler.conftest import Compiled, Compiler, Models, ask, pictures

from windtunnel.compiler.samples import guess_highs
from windtunnel.core import limits
from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.openvino_library import convert


@pytest.mark.parametrize("target", ["ml_c5", "ml_g4dn"])
@pytest.mark.parametrize("write", ["of_tensorflow_1", "with_a_number", "with_a_loop"])
def test_whatever_tensorflow_loads_is_compiled_to_the_same_answers(
    compiler: Compiler, tmp_path: Path, target: str, write: str, networks: Any
) -> None:
    """Neo takes two versions of TensorFlow, and simple layers."""
    archive = networks.pack(
        tmp_path / "a.tar.gz", {"m/1": getattr(networks, write)(tmp_path / "m" / "1")}
    )

    compiled = compiler(archive, target=target)

    (form,) = compiled.report["candidates"]
    assert form["score"] > 0.9999


def test_a_model_that_makes_bytes_small_is_tried_with_bytes(models: Models) -> None:
    """With values up to 1 its picture is black, and its answers say nothing."""
    assert guess_highs(convert(models.masks_saved)) == {"inputs": 255.0}
    assert guess_highs(convert(models.pair_saved)) == {}


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
    from windtunnel.serving.engines.openvino import OpenVinoEngine

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
    from windtunnel.serving.engines.openvino import OpenVinoEngine

    assert isinstance(engine, OpenVinoEngine)

    with caplog.at_level(logging.WARNING):
        for rows in (*range(2, 20), 3, 19, 2):
            inputs = pictures(rows, 8, 8, 3, seed=rows)
            got = ask(engine, inputs=inputs)["outputs"]
            assert np.allclose(got, ask(tensorflow, inputs=inputs)["outputs"], atol=1e-4)

    told = [each.message for each in caplog.records if "specialised in" in each.message]
    assert len(told) == limits.SPECIALISED_ROWS_COUNT_MAX + 1
    assert told[-1].endswith(" for any number of rows")


def test_a_conversion_leaves_logging_as_it_was(models: Models) -> None:
    """OpenVINO's converter silences its whole process: a job's log would end there."""
    root = logging.getLogger()
    before = (root.level, root.filters[:], root.handlers[:])

    convert(models.masks_saved)

    assert (root.level, root.filters, root.handlers) == before
