"""OpenVINO, imported without what reports its use to its makers.

`import openvino` sends an event over the internet from a thread that it starts, unless the package
`openvino_telemetry` is missing; `convert_model` and NNCF do the same. Nothing may leave this
machine, and a zygote with a thread cannot be forked: so for every process of ours it is missing.

Rule: all other modules import OpenVINO, and NNCF, behind this one.
"""

import logging
import sys
from pathlib import Path
from typing import Any

# None in its place makes every import of it fail, which its users are prepared for.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402

__all__ = ["convert", "ov"]


def convert(path: Path) -> Any:  # noqa: ANN401 - OpenVINO has no types
    """Return a model's file or folder as OpenVINO's model; raises whatever its converter does.

    The converter takes the root logger for its own, and lets nothing below ERROR through any more:
    what it was is put back.
    """
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        return ov.convert_model(str(path))
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
