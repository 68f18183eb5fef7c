"""One job from its archive to its artefact.

    unpack, load    →  convert  →  answers of the baseline  →  candidates: right?  →  how fast?
    →  choose  →  write the archive and the report

Nothing is at the output before all of it is. Rule: what takes long to import is imported where a
job is not answered from the cache (`compilation.py`).
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from windtunnel.compiler import cache
from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.job import Job

Tell = Callable[[str, float], None]
# Where the archive is unpacked, in the folder of a job.
UNPACKED = "archive"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job that ended well has made."""

    output: Path
    derived_data_input_config: str
    engine: str
    summary: str
    is_cached: bool = False


def compile_job(job: Job, tell: Tell) -> Outcome:
    """Do a job, or raise CompileError; `tell` is told what is done, and the share that is done."""
    if not job.archive.is_file():
        raise CompileError(f"The archive {job.archive} does not exist.")
    if job.options.calibration and job.calibration is None:
        raise CompileError(f"The calibration data {job.options.calibration} was not brought here.")
    if job.calibration is not None and not job.calibration.is_file():
        raise CompileError(f"The calibration data {job.calibration} does not exist.")
    _check_output(job)
    key = cache.key_of(job)
    said = cache.take(job, key)
    if said is not None:
        tell("answered from the cache: the same archive, options and versions", 1.0)
        return Outcome(job.output, said["derived"], said["engine"], said["summary"], is_cached=True)
    from windtunnel.compiler.compilation import compile_afresh

    with tempfile.TemporaryDirectory(prefix="windtunnel-compile-") as work:
        try:
            made = compile_afresh(job, Path(work), tell)
        except CompileError as error:
            raise type(error)(_without(str(error), Path(work))) from error
    said = {"derived": made.derived, "engine": made.engine, "summary": made.summary}
    cache.keep(job.cache_dir, key, job.output, job.report_dir, said)
    return Outcome(job.output, made.derived, made.engine, made.summary)


def _without(text: str, work: Path) -> str:
    """Take a folder that will be gone out of a text: what was in it has the names it came with."""
    for path in (work / UNPACKED, work):
        text = text.replace(f"{path}/", "")
    return text


def _check_output(job: Job) -> None:
    """Refuse an output that cannot be written before the work, and not after."""
    if job.output.is_dir():
        raise CompileError(f"The output {job.output} is a folder.")
    if job.output.exists() and job.output.samefile(job.archive):
        raise CompileError(f"The output {job.output} is the model itself.")
    try:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        job.report_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=job.output.parent):
            pass
    except OSError as error:
        raise CompileError(
            f"The output {job.output.parent} cannot be written: {error.strerror}."
        ) from error
