"""Forms in int8, and what they are held to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compiler.conftest import SHAPE, Compiler, Models, pictures

from windtunnel.compiler.errors import CompileError

METRIC = """
def agreement(expected, got):
    return 1 - abs(expected["outputs"] - got["outputs"]).mean()

def never(expected, got):
    return 0.25
"""


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("calibration") / "c.npz"
    np.savez(path, inputs=pictures(4, 32, 32, 3))
    return str(path)


def test_int8_is_tried_with_calibration_data_and_judged_on_it(
    models: Models, compiler: Compiler, calibration: str
) -> None:
    """It is three times as fast, where it is right."""
    compiled = compiler(
        models.masks,
        data_input_config=SHAPE,
        options={"tolerance": {"int8": 0.5}, "precisions": ["int8"]},
        calibration=calibration,
    )

    assert compiled.report["samples"] == "4 given"
    assert any(
        "int8 was compared on the samples it was quantised by" in notice
        for notice in compiled.report["notices"]
    )
    assert {each["name"] for each in compiled.report["candidates"]} == {"int8", "int8 mixed"}
    assert compiled.candidate("int8")["tolerance"] == 0.5
    assert 0.8 < compiled.candidate("int8")["score"] < 1
    assert compiled.manifest.precision == "int8"
    spent = compiled.report["profile"]["ms_by_precision"]
    assert spent.keys() & {"i8", "u8"}


def test_what_no_form_reaches_fails_the_job_with_what_each_reached(
    models: Models, compiler: Compiler, calibration: str, tmp_path: Path, networks: Any
) -> None:
    """A metric of one's own is the last word, and NNCF's accuracy control is tried before it."""
    archive = networks.pack(
        tmp_path / "m.tar.gz", {"m/1": models.masks_saved, "code/metric.py": METRIC}
    )
    said = compiler.job_file(
        archive,
        data_input_config=SHAPE,
        options={
            "precisions": ["int8"],
            "metric": "code/metric.py:never",
            "tolerance": {"int8": 0.5},
        },
        calibration=calibration,
    )

    with pytest.raises(CompileError, match="No form keeps the tolerance") as failed:
        compiler.run(said)

    assert "int8 reaches 0.2500 of 0.5" in str(failed.value)
    assert "int8 controlled reaches 0.2500 of 0.5" in str(failed.value)
    assert not Path(said["output"]).exists()
    assert (Path(said["report_dir"]) / "report.html").exists()


def test_a_metric_of_ones_own_decides(
    models: Models, compiler: Compiler, tmp_path: Path, networks: Any
) -> None:
    """Whoever knows what answers are for brings the measure along."""
    archive = networks.pack(
        tmp_path / "m.tar.gz", {"m/1": models.masks_saved, "code/metric.py": METRIC}
    )

    compiled = compiler(
        archive,
        data_input_config=SHAPE,
        options={"metric": "code/metric.py:agreement", "tolerance": {"f32": 0.99}},
    )

    assert compiled.report["measure"] == "the archive's metric"
    assert compiled.candidate("f32")["score"] > 0.9999
    assert "code/metric.py" in compiled.files()


def test_a_metric_without_a_tolerance_for_what_would_be_tried_is_refused(
    models: Models, compiler: Compiler, calibration: str, tmp_path: Path, networks: Any
) -> None:
    """A form that is held to a number that nobody gave is right, or wrong, by accident."""
    archive = networks.pack(
        tmp_path / "m.tar.gz", {"m/1": models.masks_saved, "code/metric.py": METRIC}
    )

    with pytest.raises(CompileError, match="CompilerOptions has none for int8: give it"):
        compiler(
            archive,
            data_input_config=SHAPE,
            options={"metric": "code/metric.py:agreement", "tolerance": {"f32": 0.99}},
            calibration=calibration,
        )


def test_samples_that_all_get_one_answer_are_said_to_tell_little(
    models: Models, compiler: Compiler, tmp_path: Path
) -> None:
    """A form that always gives that answer would pass."""
    path = tmp_path / "c.npz"
    np.savez(path, inputs=np.repeat(pictures(1, 32, 32, 3), 16, axis=0))

    compiled = compiler(
        models.masks,
        data_input_config=SHAPE,
        options={"precisions": ["f32"]},
        calibration=str(path),
    )

    assert compiled.report["notices"][-1] == (
        "TensorFlow gives the same answer to all 8 samples: they tell forms apart badly"
    )


def test_a_form_that_is_worse_than_a_constant_is_not_right(
    compiler: Compiler, tmp_path: Path, networks: Any, tf: Any
) -> None:
    """Temperatures of 300 K that vary by one: in 8 bits, or in bf16, all may be 300."""
    random = np.random.Generator(np.random.PCG64(2))
    weights = random.normal(0, 1, (8, 1)).astype(np.float32)
    weights = np.abs(weights) / np.abs(weights).sum()
    saved = networks.of_function(
        tmp_path / "m" / "1", lambda x: {"y": x @ weights}, x=([None, 8], tf.float32)
    )
    archive = networks.pack(tmp_path / "a.tar.gz", {"m/1": saved})
    path = tmp_path / "c.npz"
    np.savez(path, x=random.normal(300, 0.1, (24, 8)).astype(np.float32))

    compiled = compiler(archive, calibration=str(path), target="ml_c7i")

    assert compiled.report["measure"] == "1 - error / deviation"
    assert compiled.report["chosen"] == "f32"
    for each in compiled.report["candidates"]:
        assert each["is_right"] == (each["precision"] == "f32"), each


def test_int8_without_calibration_data_is_not_a_form(models: Models, compiler: Compiler) -> None:
    """The reason says what it takes."""
    with pytest.raises(CompileError, match="No form could be made.*needs calibration data"):
        compiler(models.masks, data_input_config=SHAPE, options={"precisions": ["int8"]})


def test_calibration_data_for_another_shape_is_refused(
    models: Models, compiler: Compiler, tmp_path: Path
) -> None:
    """Before the work, and with both shapes."""
    path = tmp_path / "c.npz"
    np.savez(path, inputs=pictures(4, 16, 16, 3))

    with pytest.raises(CompileError, match=r"samples of \[16,16,3\].*compiled for \[32,32,3\]"):
        compiler(models.masks, data_input_config=SHAPE, calibration=str(path))
