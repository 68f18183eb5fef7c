"""One compilation: what is asked, as `python -m windtunnel.compiler` is told it.

The file is JSON. Paths are of this machine: whoever asks has fetched what is in S3, and brings what
is made there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.compiler.errors import CompileError, InternalError
from windtunnel.compiler.options import Options, parse_options
from windtunnel.compiler.targets import Target, parse_target
from windtunnel.core import processor

FRAMEWORKS = ("TENSORFLOW", "KERAS", "TFLITE", "ONNX")


@dataclass(frozen=True, slots=True)
class Job:
    """What to compile, for what, and where to."""

    archive: Path
    output: Path
    report_dir: Path
    # None: nothing is kept for another time.
    cache_dir: Path | None
    # None: nobody else measures on this machine.
    lease: Path | None
    framework: str
    framework_version: str | None
    # The JSON of InputConfig's DataInputConfig; None: the model's own shapes.
    data_input_config: str | None
    target: Target
    options: Options
    # A file of samples, brought here.
    calibration: Path | None
    # How long is measured, as a share of what a decision deserves: less is for trying a job out.
    effort: float = 1.0


def read_job(path: Path) -> Job:
    """Return the job that a file asks for, or raise CompileError."""
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return make_job(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InternalError(f"The job's file {path} cannot be read: {error!r}.") from error


def make_job(given: Mapping[str, Any]) -> Job:
    """Return the job, or raise CompileError for what cannot be compiled at all."""
    framework = str(given["framework"]).upper()
    if framework not in FRAMEWORKS:
        raise CompileError(
            f"The framework {framework} is not offered: {', '.join(FRAMEWORKS)} are."
        )
    options = parse_options(given.get("compiler_options"))
    calibration = given.get("calibration")
    return Job(
        archive=Path(given["archive"]),
        output=Path(given["output"]),
        report_dir=Path(given["report_dir"]),
        cache_dir=_path(given.get("cache_dir")),
        lease=_path(given.get("lease")),
        framework=framework,
        framework_version=given.get("framework_version"),
        data_input_config=given.get("data_input_config"),
        target=parse_target(given["target"], processor.features()),
        options=options,
        calibration=_path(calibration),
        effort=float(given.get("effort", 1.0)),
    )


def _path(given: object) -> Path | None:
    return None if given is None else Path(str(given))
