"""The reference model in the home's cache: made once, whole or not at all.

Its directory's name covers everything that determines the model: the source files below, which
hold seed, data, network and schedule, and the versions of what trains it. So there is no number to
forget to raise. A making goes on in a directory of its own that is renamed at the end; one lock
lets one maker work at a time, and the kernel lets go of it however that maker ends.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, WindtunnelError
from windtunnel.core.home import Home
from windtunnel.core.supervision import Supervisor, new_generation

_SOURCES = (
    "architecture.py",
    "bundle.py",
    "export.py",
    "mask.py",
    "pictures.py",
    "train.py",
    "training.py",
)
# `-P` keeps the directory that the user happens to stand in from shadowing modules.
_TRAINER = (sys.executable, "-P", "-m", "windtunnel.sample.train")
_STOP_GRACE_S = 2.0
_STDERR = 2


@dataclass(frozen=True)
class Made:
    """Where the files are, and whether they were there before."""

    directory: Path
    reused: bool


def unet(home: Home, report: Callable[[str], None]) -> Made:
    """Return the reference U-Net of this home, made on first use in a process of its own.

    That takes about 40 s on 2 cores; its progress goes to stderr. Call where no event loop runs.
    """
    versions = _versions()
    home.prepare()
    return made_once(home, "unet", digest(versions), _TRAINER, report)


def digest(versions: Sequence[str]) -> str:
    """Return a short name of all that determines the model."""
    known = hashlib.sha256("\n".join(versions).encode())
    for name in _SOURCES:
        known.update(hashlib.sha256((Path(__file__).parent / name).read_bytes()).digest())
    return known.hexdigest()[:16]


def _versions() -> list[str]:
    """Return what trains the model, without importing it."""
    for name in ("tensorflow-cpu", "tensorflow"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            tensorflow, keras = metadata.version(name), metadata.version("keras")
            return [f"tensorflow {tensorflow}", f"keras {keras}"]
    raise NotReadyError(
        "TensorFlow is not installed, and the reference model is trained with it: "
        'pip install "windtunnel[local]".'
    )


def made_once(
    home: Home,
    kind: str,
    digest: str,
    program: Sequence[str],
    report: Callable[[str], None],
) -> Made:
    """Return the cached directory, filled by `program DIRECTORY` where it is not there yet."""
    target = home.cache / f"{kind}-{digest}"
    if target.is_dir():
        return Made(target, reused=True)
    with _locked(home.cache / f"{kind}.lock", report):
        if target.is_dir():
            return Made(target, reused=True)
        # Only the lock's holder makes anything: what lies here was left by one that was killed.
        for left_over in home.cache.glob(f".{kind}-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=home.cache, prefix=f".{kind}-") as name:
            filled = Path(name) / "files"
            filled.mkdir()
            status = asyncio.run(_run([*program, str(filled)], Path(name), home))
            if status != 0:
                raise WindtunnelError(
                    f"The reference model could not be made (exit status {status}); "
                    "the lines above say why."
                )
            _settle(filled)
            filled.rename(target)
        _prune(home.cache, kind)
    return Made(target, reused=False)


@contextlib.contextmanager
def _locked(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another process is making this model: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def _run(arguments: Sequence[str], scratch: Path, home: Home) -> int:
    """Run the program tied to this process, all its output to stderr; return its exit status."""
    # No mark that the home's own sweep looks for: an `up` that starts must not end a training.
    supervisor = Supervisor(new_generation(f"sample-{home.id}"))
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
        # Keras writes a configuration on import; it must not be the user's own.
        "KERAS_HOME": str(scratch / "keras"),
    }
    process = await supervisor.start(arguments, environment=environment, output=_STDERR)
    try:
        return await process.wait()
    finally:
        await supervisor.stop(process, _STOP_GRACE_S)


def _settle(directory: Path) -> None:
    """Have the disk hold the files before their directory gets its name."""
    for path in (*directory.rglob("*"), directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _prune(cache: Path, kind: str) -> None:
    """Remove the oldest, which earlier versions made, beyond what is kept."""
    made = sorted(cache.glob(f"{kind}-*/"), key=lambda path: path.stat().st_mtime)
    for old in made[: -limits.SAMPLE_CACHE_COUNT_MAX]:
        shutil.rmtree(old, ignore_errors=True)
