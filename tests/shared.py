"""What takes long to make and no test changes is made once, by whichever process needs it first."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, program: Sequence[str]) -> Path:
    """Return the directory that a Python program filled; it gets its path as the last word."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Each process has a directory of its own below that of the whole run.
        root = root.parent
    directory, unfinished = root / name, root / f"{name}.unfinished"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            unfinished.mkdir(exist_ok=True)
            words = [sys.executable, *program, str(unfinished)]
            subprocess.run(words, check=True, capture_output=True)
            unfinished.rename(directory)
    return directory


def tiny_archives(factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the archives of the tiny models, made by TensorFlow."""
    return made_once(factory, "tiny", ["-m", "windtunnel.sample.tiny"])
