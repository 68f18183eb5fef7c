"""OpenVINO, imported without what reports its use to its makers.

`import openvino` sends an event over the internet from a thread that it starts, unless the package
`openvino_telemetry` is missing; `convert_model` and NNCF do the same. Nothing may leave this
machine, and a zygote with a thread cannot be forked: so for every process of ours it is missing.

Rule: all other modules import OpenVINO, and NNCF, behind this one.
"""

import sys

# None in its place makes every import of it fail, which its users are prepared for.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402

__all__ = ["ov"]
