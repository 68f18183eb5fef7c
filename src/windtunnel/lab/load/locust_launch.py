"""The `locust` of `windtunnel run`: starts the real one, with a watch beside it.

A program of its own, started by the file that `windtunnel run` puts first on PATH; the standard
library only. The real Locust is the one that would be found without that file, in whatever
environment it is; it runs in its own Python, in this same process, with the same arguments.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

# The directory of that file has this name in every home; `core/home.py` says where it is.
SHIMS = "windtunnel-shims"
_PLUGIN = Path(__file__).with_name("locust_plugin.py")
# As a shell says it.
_NOT_FOUND = 127


def real_locust(path: str) -> str | None:
    """Return the first `locust` on a PATH that is none of ours."""
    others = [entry for entry in path.split(os.pathsep) if Path(entry).name != SHIMS]
    return shutil.which("locust", path=os.pathsep.join(others))


def interpreter_of(script: str) -> list[str] | None:
    """Return the command of the Python that runs a script; None where it is no such script."""
    try:
        with Path(script).open("rb") as file:
            first, second = (file.readline(4096).decode("utf-8", "replace") for _ in range(2))
    except OSError:
        return None
    if not first.startswith("#!"):
        return None
    words = shlex.split(first[2:])
    if words == ["/bin/sh"] and second.startswith("'''exec'"):
        # What pip and uv write where a path is long or has spaces: the shell starts the Python.
        words = shlex.split(second)[1:-2]
    named = words[1:] if words and Path(words[0]).name == "env" else words
    is_python = bool(named) and Path(named[0]).name.startswith(("python", "pypy"))
    # What a shell would still have to expand is left to it.
    return words if is_python and "$" not in "".join(words) else None


def main(arguments: list[str]) -> None:
    """Become the real Locust."""
    script = real_locust(os.environ.get("PATH", os.defpath))
    if script is None:
        sys.stderr.write(
            "windtunnel: there is no locust on PATH: activate the environment it is in, or install "
            "it (pip install locust).\n"
        )
        raise SystemExit(_NOT_FOUND)
    python = interpreter_of(script)
    if python is None:
        if "--worker" not in arguments:
            sys.stderr.write(f"windtunnel: {script} is no Python script, and runs unwatched.\n")
        os.execv(script, [script, *arguments])  # noqa: S606 - no shell is meant
    os.execvp(python[0], [*python, str(_PLUGIN), script, *arguments])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
