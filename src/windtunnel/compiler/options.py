"""CompilerOptions: what a job may be told besides its target.

Neo's CompilerOptions is a JSON string with keys of its own for each target; ours are these.

    objective      "latency" (default): lowest median of one inference after the other;
                   "throughput": most inferences a second, with several at once
    calibration    an S3 URI (on the command line: --calibration FILE) of an .npz with an array for
                   each input, its rows the samples. int8 is tried only with it
    precisions     which to try: a list of "f32", "bf16", "int8"
    tolerance      a number by precision that takes the place of the default: {"int8": 0.95};
                   from 0 to 1, but for a metric of one's own
    metric         "FILE.py:FUNCTION" inside the archive: FUNCTION(expected, got) returns a number,
                   the larger the better, held to `tolerance`, which has one for each precision
                   that is tried
    safe_mode      false: load Lambda layers of a Keras file, which run code that is in it
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from windtunnel.compiler.errors import CompileError

PRECISIONS = ("f32", "bf16", "int8")
_KEYS = {"objective", "calibration", "precisions", "tolerance", "metric", "safe_mode"}
# Keys of Neo's own, for engines that are not used here: taken, and said to have no effect.
_NEOS_KEYS = {"dtype", "precision_mode", "ANDROID_PLATFORM", "mcpu", "mattr", "llvm-target"}


@dataclass(frozen=True, slots=True)
class Options:
    """What a job was told."""

    objective: str = "latency"
    calibration: str | None = None
    precisions: tuple[str, ...] = PRECISIONS
    tolerance: Mapping[str, float] = field(default_factory=dict)
    metric: str | None = None
    safe_mode: bool = True
    notices: tuple[str, ...] = ()


def parse_options(text: str | None) -> Options:
    """Return the options that a string spells, or raise CompileError."""
    if not text:
        return Options()
    try:
        given = json.loads(text)
    except ValueError as error:
        raise CompileError(f"CompilerOptions is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise CompileError("CompilerOptions is not a JSON object.")
    unknown = sorted(given.keys() - _KEYS - _NEOS_KEYS)
    if unknown:
        raise CompileError(
            f"CompilerOptions has {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}."
        )
    _check(given)
    return Options(
        objective=given.get("objective", "latency"),
        calibration=given.get("calibration"),
        precisions=tuple(given.get("precisions", PRECISIONS)),
        tolerance=given.get("tolerance", {}),
        metric=given.get("metric"),
        safe_mode=given.get("safe_mode", True),
        notices=tuple(
            f"CompilerOptions {name} has no effect: it is for an engine of Neo's"
            for name in sorted(given.keys() & _NEOS_KEYS)
        ),
    )


def _check(given: Mapping[str, object]) -> None:
    if given.get("objective", "latency") not in ("latency", "throughput"):
        raise CompileError('CompilerOptions objective is "latency" or "throughput".')
    precisions = given.get("precisions", [*PRECISIONS])
    if (
        not isinstance(precisions, list)
        or not precisions
        or not all(each in PRECISIONS for each in precisions)
    ):
        raise CompileError(f"CompilerOptions precisions is a list of {', '.join(PRECISIONS)}.")
    tolerance = given.get("tolerance", {})
    if not isinstance(tolerance, dict) or not all(
        name in PRECISIONS and _is_number(value) for name, value in tolerance.items()
    ):
        raise CompileError('CompilerOptions tolerance is like {"bf16": 0.99}.')
    if given.get("metric") is None and not all(0 <= each <= 1 for each in tolerance.values()):
        raise CompileError(
            "CompilerOptions tolerance is from 0 to 1: the best that answers can have is 1."
        )
    for name in ("calibration", "metric"):
        if not isinstance(given.get(name, ""), str):
            raise CompileError(f"CompilerOptions {name} is a string.")
    if not isinstance(given.get("safe_mode", True), bool):
        raise CompileError("CompilerOptions safe_mode is true or false.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
