"""What a script's requirements.txt asks for: installed once, kept, and found again.

Each set of requirements gets a folder of its own in the cache. Its name covers what determines it:
the text, this Python, and what is installed beside it. A folder is filled under another name and
renamed when it is whole. Its lock is held alone by who fills or removes it, and shared by every
container that uses it; the kernel lets go of it however a container ends.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from windtunnel.core import limits
from windtunnel.core.lifeline import die_with_parent
from windtunnel.serving.errors import ScriptError
from windtunnel.serving.scripts.archive import CODE, REQUIREMENTS
from windtunnel.serving.scripts.pins import quote_failure, render_pins

logger = logging.getLogger(__name__)

_PIP = (sys.executable, "-I", "-m", "pip", "--no-input", "--disable-pip-version-check")
_INSTALL = (*_PIP, "install", "--progress-bar=off")


def install_packages(model_dir: Path, cache_dir: Path) -> Path:
    """Return the folder with what an archive's requirements.txt asks for; raise ScriptError.

    It is this process's to use until it ends.
    """
    try:
        return _install(model_dir, cache_dir / "packages")
    except OSError as error:
        raise ScriptError(
            f"{REQUIREMENTS} cannot be installed below {cache_dir}: {error.strerror or error}."
        ) from error


def _install(model_dir: Path, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / _digest(model_dir / CODE)
    descriptor = os.open(_lock_path(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # The descriptor stays open: it is the lock.
    while not _is_there(folder, descriptor):
        with contextlib.suppress(BlockingIOError):
            # Whoever is faster fills it; the others wait for that above.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            logger.info("installing what %s asks for", REQUIREMENTS)
            _fill(folder, model_dir / REQUIREMENTS)
            _prune(cache, folder)
    os.utime(folder)
    logger.info("what %s asks for is in %s", REQUIREMENTS, folder)
    return folder


def _is_there(folder: Path, descriptor: int) -> bool:
    """Share the lock, once nobody fills the folder; say whether somebody has."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return folder.is_dir()


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _digest(code: Path) -> str:
    """Return a short name of all that determines what pip installs."""
    known = hashlib.sha256(sys.version.encode())
    installed = sorted({f"{found.name}=={found.version}" for found in metadata.distributions()})
    known.update("\n".join(installed).encode())
    # requirements.txt may include others that lie beside it.
    for path in sorted(code.glob("*.txt")):
        known.update(f"\n{path.name}\n".encode() + path.read_bytes())
    return known.hexdigest()[:16]


def _fill(folder: Path, requirements: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        scratch = Path(name)
        report = scratch / "report.json"
        options = ("--dry-run", f"--report={report}", "--requirement", str(requirements))
        _run([*_INSTALL, *options], scratch)
        pins = render_pins(json.loads(report.read_text()), requirements.read_text())
        filled = scratch / "files"
        filled.mkdir()
        if pins:
            missing = scratch / "missing.txt"
            missing.write_text("\n".join(pins) + "\n")
            options = ("--no-deps", f"--target={filled}", "--requirement", str(missing))
            _run([*_INSTALL, *options], scratch)
        filled.rename(folder)


def _run(command: Sequence[str], directory: Path) -> None:
    """Run pip, its output in the log; raise ScriptError with its last lines when it fails."""
    last: deque[str] = deque(maxlen=limits.PIP_LINES_KEPT)
    with subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        # This process has one thread, so that something may run between fork and exec.
        preexec_fn=functools.partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - see above
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            logger.info("pip: %s", line.rstrip())
            last.append(line.rstrip())
    if process.returncode != 0:
        raise ScriptError(
            f"{REQUIREMENTS} cannot be installed (pip's exit status is {process.returncode}):"
            f" {quote_failure(last)}"
        )


def _prune(cache: Path, kept: Path) -> None:
    """Remove the folders that were used longest ago, beyond what is kept, and left-overs."""
    folders = sorted(cache.glob("[!.]*/"), key=lambda path: path.stat().st_mtime)
    for folder in folders[: -limits.SCRIPT_PACKAGES_COUNT_MAX]:
        if folder != kept:
            _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    descriptor = os.open(_lock_path(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left_over in (folder, *folder.parent.glob(f".{folder.name}-*")):
                shutil.rmtree(left_over, ignore_errors=True)
    finally:
        os.close(descriptor)


def module_names(folder: Path) -> set[str]:
    """Return the names that can be imported from a folder, as far as its own entries tell."""
    with contextlib.suppress(FileNotFoundError):
        return {path.name.partition(".")[0] for path in folder.iterdir()}
    return set()
