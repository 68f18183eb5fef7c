"""What `windtunnel compile` is told, checked before a compiler starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from windtunnel.cli.main import app
from windtunnel.core.errors import UsageError


@pytest.fixture
def refusal(tmp_path: Path) -> Any:
    """Run the command with these words besides good ones; return why it was refused."""
    model = tmp_path / "model.tar.gz"
    model.write_bytes(b"model")

    def run(*words: str, archive: str = "model.tar.gz", out: str = "out.tar.gz") -> str:
        files = [str(tmp_path / archive), "--out", str(tmp_path / out)]
        home = ["--home", str(tmp_path / "home")]
        result = CliRunner().invoke(app, ["compile", *files, *words, *home])
        assert isinstance(result.exception, UsageError), result.output
        assert {path.name for path in tmp_path.iterdir()} <= {"model.tar.gz", "taken.tar.gz"}
        assert model.read_bytes() == b"model"
        return str(result.exception)

    return run


def test_files_that_cannot_be_meant_are_refused(tmp_path: Path, refusal: Any) -> None:
    """A typing error costs a second, and leaves nothing behind."""
    assert "absent.tar.gz does not exist, or is no file" in refusal(archive="absent.tar.gz")
    assert "does not exist, or is no file" in refusal(archive=".")
    assert "out.zip does not end in .tar.gz" in refusal(out="out.zip")
    assert "does not exist" in refusal(out="nowhere/out.tar.gz")
    assert "is the model itself" in refusal(out="model.tar.gz")
    assert "c.npz does not exist" in refusal("--calibration", str(tmp_path / "c.npz"))
    (tmp_path / "taken.tar.gz").mkdir()
    assert "taken.tar.gz is a directory" in refusal(out="taken.tar.gz")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--target", "c5"], "The target c5 is not offered"),
        (["--target", "ml_inf1"], "Inferentia runs what AWS's Neuron compiles"),
        (["--framework", "pytorch"], "PYTORCH is not offered: TENSORFLOW, KERAS"),
        (["--options", "{"], "CompilerOptions is not JSON"),
        (["--options", '{"precision": 1}'], "CompilerOptions has precision; known are"),
        (["--options", json.dumps({"calibration": "c.npz"})], "name the file by --calibration"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(
    refusal: Any, words: list[str], reason: str
) -> None:
    """With exit status 2, by which a script tells its own mistake from a model's."""
    assert reason in refusal(*words)
