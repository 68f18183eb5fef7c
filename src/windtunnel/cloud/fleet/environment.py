"""What of this process's environment an instance sees.

As good as nothing: a container on AWS sees the model's variables and its image's. So no credential,
proxy or setting of the person who runs `up` reaches a model's code, and a model behaves the same
whoever starts the cloud.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# What programs need to run at all, on this machine and in this language.
_KEPT = (
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)
_KEPT_PREFIX = "LC_"


def base_environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that every process of the fleet starts from."""
    kept = {
        name: value
        for name, value in ours.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIX)
    }
    # So that `python` in a WINDTUNNEL_COMMAND is this Python, activated or not.
    path = ours.get("PATH", os.defpath)
    return {**kept, "PATH": os.pathsep.join([str(Path(sys.executable).parent), path])}
