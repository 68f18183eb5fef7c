"""What was compiled before: the same archive, options and versions give the same artefact.

A folder for each job, named by the digest of all that its outcome depends on; whole, because it is
made under another name and renamed. The least recently used go when there are too many.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from windtunnel import __version__
from windtunnel.compiler.archive import deliver
from windtunnel.compiler.job import Job
from windtunnel.core import limits, processor

_FORMAT = 2
_PACKAGES = ("openvino", "nncf", "tensorflow-cpu", "tensorflow", "onnxruntime", "tf2onnx", "numpy")
_PIECE_BYTES = 1 << 20
ARTEFACT, OUTCOME = "model.tar.gz", "outcome.json"
# Of a folder that is not whole yet.
_MAKING = ".making-"
REPORTS = ("report.json", "report.html")


def versions() -> dict[str, str]:
    """Return the versions of what compiles."""
    found = {"windtunnel": __version__}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def key_of(job: Job) -> str:
    """Return the digest of all that a job's outcome depends on."""
    said = {
        "format": _FORMAT,
        "archive": _digest(job.archive),
        "calibration": None if job.calibration is None else _digest(job.calibration),
        "framework": job.framework,
        "data_input_config": job.data_input_config,
        "target": job.target.name,
        # What is measured depends on the machine.
        "processor": processor.model(),
        "features": sorted(processor.features()),
        "cores": processor.core_count(),
        "options": repr(job.options),
        "effort": job.effort,
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def take(job: Job, key: str) -> Mapping[str, Any] | None:
    """Put an earlier outcome where a job wants it; return what was said of it, or None."""
    if job.cache_dir is None:
        return None
    found = job.cache_dir / key
    try:
        kept: Mapping[str, Any] = json.loads((found / OUTCOME).read_text(encoding="utf-8"))
        outcome: Mapping[str, Any] = kept["outcome"]
        if _digest(found / ARTEFACT) != kept["archive"]:
            # A disk was full, or somebody was in there: an archive that is not whole is none.
            return None
        for name in REPORTS:
            shutil.copyfile(found / name, job.report_dir / name)
        deliver(found / ARTEFACT, job.output)
        os.utime(found)
    except (OSError, ValueError, KeyError, TypeError):
        # It was never there, or another job has made room of it.
        return None
    return outcome


def keep(cache_dir: Path | None, key: str, artefact: Path, reports: Path, outcome: object) -> None:
    """Keep an outcome; what cannot be kept is compiled again another time."""
    if cache_dir is None:
        return
    with contextlib.suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache_dir, prefix=_MAKING))
        try:
            shutil.copyfile(artefact, made / ARTEFACT)
            for name in REPORTS:
                shutil.copyfile(reports / name, made / name)
            kept = {"archive": _digest(artefact), "outcome": outcome}
            (made / OUTCOME).write_text(json.dumps(kept), encoding="utf-8")
            # What is there already could not be read, or has just been made by another job.
            shutil.rmtree(cache_dir / key, ignore_errors=True)
            made.rename(cache_dir / key)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        _make_room(cache_dir)


def _make_room(cache_dir: Path) -> None:
    # What was being made counts, too: whoever made it may have been killed.
    kept = sorted(cache_dir.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in kept[: -limits.COMPILE_CACHE_COUNT_MAX]:
        shutil.rmtree(path, ignore_errors=True)
