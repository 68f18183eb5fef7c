"""The `locust` that a command inside the wind tunnel finds first: the real one, watched."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import windtunnel
from windtunnel.core.home import Home, write_private

# In its directory: importing it here would import the lab.
_LAUNCH = Path(windtunnel.__file__).parent / "lab" / "load" / "locust_launch.py"


def with_locust_watched(environment: Mapping[str, str], home: Home) -> dict[str, str]:
    """Return an environment in which `locust` is watched; write the file that sees to it."""
    shim = home.shims / "locust"
    # Isolated: what the command has in PYTHONPATH is for its own Python.
    words = [sys.executable, "-I", str(_LAUNCH)]
    text = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
    try:
        is_there = shim.read_text() == text
    except OSError:
        is_there = False
    if not is_there:
        write_private(shim, text)
        shim.chmod(0o700)
    path = environment.get("PATH", os.defpath)
    return {**environment, "PATH": f"{home.shims}{os.pathsep}{path}"}
