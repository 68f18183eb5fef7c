"""What a job's file may say, and what is refused before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from windtunnel.compiler.errors import CompileError, InternalError
from windtunnel.compiler.job import read_job
from windtunnel.compiler.pipeline import compile_job


def write(path: Path, **changes: Any) -> Path:
    given = {
        "archive": str(path.parent / "model.tar.gz"),
        "output": str(path.parent / "out" / "out.tar.gz"),
        "report_dir": str(path.parent / "report"),
        "framework": "tensorflow",
        "target": "local",
    }
    path.write_text(json.dumps(given | changes))
    return path


def test_a_job_is_read_and_lacks_nothing_that_can_be_left_out(tmp_path: Path) -> None:
    """The file is the whole interface of the process."""
    job = read_job(write(tmp_path / "job.json", cache_dir=None, calibration=str(tmp_path)))

    assert job.framework == "TENSORFLOW"
    assert job.cache_dir is None
    assert job.lease is None
    assert job.calibration == tmp_path
    assert job.effort == 1.0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"framework": "ONNX"}', "null"])
def test_a_file_that_is_no_job_is_the_askers_fault_and_not_the_users(
    tmp_path: Path, text: str
) -> None:
    """InternalError: whoever wrote the file is a program."""
    path = tmp_path / "job.json"
    path.write_text(text)

    with pytest.raises(InternalError, match=r"The job's file .*job.json cannot be read"):
        read_job(path)
    with pytest.raises(InternalError, match="cannot be read"):
        read_job(tmp_path / "absent")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"framework": "PYTORCH"}, "PYTORCH is not offered: TENSORFLOW, KERAS, TFLITE, ONNX are"),
        ({"target": "ml_inf1"}, "Inferentia"),
        ({"compiler_options": "nonsense"}, "CompilerOptions is not JSON"),
    ],
)
def test_what_cannot_be_compiled_is_the_users_to_change(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """ClientError, in AWS's words."""
    with pytest.raises(CompileError, match=reason) as refused:
        read_job(write(tmp_path / "job.json", **changes))

    assert refused.value.kind == "ClientError"


def test_files_that_are_not_there_or_cannot_be_written_are_said_before_the_work(
    tmp_path: Path,
) -> None:
    """And nothing is left where the output was to be."""
    archive = tmp_path / "model.tar.gz"

    def refusal(**changes: Any) -> str:
        with pytest.raises(CompileError) as refused:
            compile_job(read_job(write(tmp_path / "job.json", **changes)), lambda *_: None)
        return str(refused.value)

    assert f"{archive} does not exist" in refusal()
    archive.write_bytes(b"not a model")
    assert "c.npz does not exist" in refusal(calibration=str(tmp_path / "c.npz"))
    options = json.dumps({"calibration": "s3://b/c.npz"})
    assert "s3://b/c.npz was not brought here" in refusal(compiler_options=options)
    assert "is a folder" in refusal(output=str(tmp_path))
    assert "cannot be written: File exists" in refusal(output=str(archive / "out.tar.gz"))
    assert "is the model itself" in refusal(output=str(archive))
    assert archive.read_bytes() == b"not a model"
