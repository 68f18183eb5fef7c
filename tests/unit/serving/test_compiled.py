"""The manifest of a compiled model, as archives bring it."""

import json
from pathlib import Path
from typing import Any

import pytest

from windtunnel.core import limits
from windtunnel.serving.compiled import MANIFEST, Manifest, Streams, describe, read_manifest
from windtunnel.serving.engines.compiled import load_compiled
from windtunnel.serving.engines.engine import Threads
from windtunnel.serving.errors import LoadError

WRITTEN = Manifest(
    engine="openvino",
    model="model.xml",
    precision="int8",
    floats="bf16",
    target="ml_c7i",
    shapes={"inputs": (1, 8, 8, 3)},
    lone=Streams(1, 0),
    busy=Streams(2, 1),
    names={"inputs": "x:0", "outputs": "y:0"},
    signature={"inputs": {"inputs": {"dtype": "DT_FLOAT"}}, "outputs": {"outputs": {}}},
)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The container runs what the compiler has measured."""
    WRITTEN.write(tmp_path)

    assert read_manifest(tmp_path) == WRITTEN


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "has format 2, and this Windtunnel reads 1: compile the model with this"),
        (
            {"model": "../../etc/passwd"},
            "is not a compiled model's: .* is no name of a file in its folder",
        ),
        (
            {"model": "/etc/passwd"},
            "is not a compiled model's: .* is no name of a file in its folder",
        ),
        ({"model": ".."}, "is not a compiled model's: .* is no name of a file in its folder"),
        ({"model": ""}, "is not a compiled model's: .* is no name of a file in its folder"),
        (
            {"blob": "../model.blob"},
            "is not a compiled model's: .* is no name of a file in its folder",
        ),
        ({"blob": ".."}, "is not a compiled model's: .* is no name of a file in its folder"),
        ({"model": 3}, "is not a compiled model's"),
        ({"lone": {"count": "2"}}, "is not a compiled model's"),
        ({"busy": {"count": 0}}, "is not a compiled model's"),
        ({"busy": {"count": 1, "threads": -1}}, "is not a compiled model's"),
        ({"busy": {"cores": 1}}, "is not a compiled model's"),
        ({"busy": 2}, "is not a compiled model's"),
        ({"shapes": [1]}, "is not a compiled model's"),
        ({"shapes": {"inputs": 1}}, "is not a compiled model's"),
        ({"shapes": {"inputs": ["a"]}}, "is not a compiled model's"),
        ({"names": None}, "is not a compiled model's"),
        ({"names": {"inputs": 1, "outputs": "y"}}, "is not a compiled model's"),
        ({"signature": {}}, "is not a compiled model's"),
        ({"floats": "f8"}, "is not a compiled model's"),
        ({"more": 1}, "is not a compiled model's"),
    ],
)
def test_a_manifest_that_nobody_of_ours_wrote_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """An archive is somebody's upload, and a server that dies of it says nothing."""
    WRITTEN.write(tmp_path)
    path = tmp_path / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    with pytest.raises(LoadError, match=f"{MANIFEST} {reason}"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "\x00"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    """Half a download."""
    (tmp_path / MANIFEST).write_text(text)

    with pytest.raises(LoadError, match=MANIFEST):
        read_manifest(tmp_path)


def test_a_manifest_of_unreasonable_size_is_not_read(tmp_path: Path) -> None:
    """Every byte that is read is bounded."""
    (tmp_path / MANIFEST).write_bytes(b" " * (limits.MANIFEST_BYTES_MAX + 1))

    with pytest.raises(LoadError, match="is larger than"):
        read_manifest(tmp_path)


def test_a_model_for_an_engine_that_is_not_here_is_refused_by_its_name(tmp_path: Path) -> None:
    """A newer version may compile for more."""
    manifest = json.loads(json.dumps({"engine": "tensorrt"}))
    WRITTEN.write(tmp_path)
    path = tmp_path / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | manifest))

    with pytest.raises(LoadError, match="an engine that is not here: tensorrt"):
        load_compiled(tmp_path, Threads())


@pytest.mark.parametrize(
    ("intra_op", "expected"),
    [
        (0, "4 inference threads; several requests: 2 at once, 1 threads each"),
        (8, "8 inference threads (SAGEMAKER_TFS_INTRA_OP_PARALLELISM)"),
    ],
)
def test_how_it_runs_is_said_and_by_whose_word(intra_op: int, expected: str) -> None:
    """The mapping of TensorFlow's variables is printed at start."""
    said = describe(WRITTEN, intra_op, 4)

    assert said == f"compiled for ml_c7i: OpenVINO, int8, floats in bf16; {expected}"
