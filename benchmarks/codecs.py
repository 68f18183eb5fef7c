"""JSON to tensors and back, beside `json` with numpy and orjson with numpy, in one thread.

The bodies are what clients send: pictures and floats of a picture's size as `json.dumps` writes
them (17 digits) and as compact writers do (8 to 9 digits). Rounds are interleaved: each figure is
the median of the rounds, each ratio the median of the rounds' ratios. CPU time, because cores are
shared; memory is kept between rounds as in a model server (`core/allocator.py`).
"""

import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from windtunnel.core.allocator import keep_freed_memory
from windtunnel.serving.codecs.answers import encode_tensor
from windtunnel.serving.codecs.invocations import decode_invocation
from windtunnel.serving.codecs.predict import decode_predict
from windtunnel.serving.tensors import TYPES, Signature, TensorSpec

ROUNDS = 15
SIZES = (256, 224)
_SPECS = {name: TensorSpec(name, TYPES["float"], "float", None) for name in ("x", "y")}
ONE = {"serving_default": Signature("serving_default", {"x": _SPECS["x"]}, {})}
TWO = {"serving_default": Signature("serving_default", _SPECS, {})}
Way = Callable[[], object]


def main() -> list[str]:
    """Measure and return the lines of three tables."""
    keep_freed_memory()
    rows = ["| body to float tensor | bytes | Windtunnel | json | is | orjson | is |"]
    rows.append("|---|---|---|---|---|---|---|")
    for size in SIZES:
        for name, text, signatures in bodies(size):
            rows.append(_row(name, text, signatures))
    rows += ["", "| tensor to JSON | bytes | Windtunnel | tolist, json.dumps | is |"]
    rows.append("|---|---|---|---|---|")
    for size in SIZES:
        for channels in (3, 1):
            rows.append(_encoding_row((1, size, size, channels)))
    rows += ["", "| `.npy` body to float tensor | bytes | Windtunnel | numpy.load | is |"]
    rows.append("|---|---|---|---|---|")
    rows += [_npy_row((1, size, size, 3), dtype) for size in SIZES for dtype in ("f4", "u1")]
    return rows


def bodies(size: int) -> list[tuple[str, bytes, dict[str, Signature]]]:
    """Return the requests of pictures of one size: a name, the body, and what it is read for."""
    random = np.random.Generator(np.random.PCG64(size))
    shape = (1, size, size, 3)
    floats = random.random(shape)
    short = floats.astype(np.float32)
    holed = floats.copy()
    holed[0, ::16, ::16, 0] = np.nan
    picture = random.integers(0, 256, shape)
    name = f"{size} x {size} x 3"
    pair = {"x": floats.tolist(), "y": floats[:, :32].tolist()}
    return [
        (f"{name}, 17 digits", _document(floats.tolist()), ONE),
        (f"{name}, 8 to 9 digits", b'{"instances":' + _compact(short) + b"}", ONE),
        (f"{name}, whole numbers", _document(picture.tolist()), ONE),
        (f"{name}, 17 digits, some NaN", _document(holed.tolist()), ONE),
        (f"{name}, 17 digits, beside a second input", json.dumps({"inputs": pair}).encode(), TWO),
    ]


def _document(rows: Any) -> bytes:
    return json.dumps({"instances": rows}).encode()


def _compact(tensor: npt.NDArray[Any]) -> bytes:
    return orjson.dumps(tensor, option=orjson.OPT_SERIALIZE_NUMPY)


def _row(name: str, text: bytes, signatures: dict[str, Signature]) -> str:
    def plain(load: Callable[[bytes], Any]) -> Way:
        def read() -> object:
            value = load(text)
            tensors = value.get("inputs", {"x": value.get("instances")})
            return [np.array(tensor, np.float32) for tensor in tensors.values()]

        return read

    # orjson reads no NaN.
    others = [plain(json.loads)] + ([] if b"NaN" in text else [plain(orjson.loads)])
    ours, *theirs = _measure([lambda: decode_predict(text, signatures), *others])
    cells = [f"{_median(ours)} ms"]
    for each in theirs:
        cells += [f"{_median(each)} ms", _ratio(each, ours)]
    if len(theirs) == 1:
        cells += ["", ""]
    return f"| {name} | {len(text):,} | {' | '.join(cells)} |"


def _encoding_row(shape: tuple[int, ...]) -> str:
    tensor = np.random.Generator(np.random.PCG64(1)).random(shape, np.float32)
    ours, plain = _measure(
        [lambda: encode_tensor("y", tensor), lambda: json.dumps(tensor.tolist()).encode()]
    )
    size = sum(map(len, encode_tensor("y", tensor)))
    name = " x ".join(map(str, shape[1:]))
    return (
        f"| {name} | {size:,} | {_median(ours)} ms | {_median(plain)} ms | {_ratio(plain, ours)} |"
    )


def _npy_row(shape: tuple[int, ...], dtype: str) -> str:
    tensor = np.ones(shape, dtype)
    file = io.BytesIO()
    np.save(file, tensor)
    text = file.getvalue()
    ours, plain = _measure(
        [
            lambda: decode_invocation(text, b"application/x-npy", ONE),
            lambda: np.load(io.BytesIO(text)).astype(np.float32, copy=False),
        ]
    )
    name = f"{' x '.join(map(str, shape[1:]))}, {tensor.dtype.name}"
    times = f"{_median(ours)} ms | {_median(plain)} ms | {_ratio(plain, ours)}"
    return f"| {name} | {len(text):,} | {times} |"


def _measure(ways: list[Way]) -> list[list[float]]:
    """Return each way's CPU times, taken by turns after a first turn that does not count."""
    times_s: list[list[float]] = [[] for _ in ways]
    for number in range(ROUNDS + 1):
        for way, spent_s in zip(ways, times_s, strict=True):
            before_s = time.thread_time()
            way()
            if number:
                spent_s.append(time.thread_time() - before_s)
    return times_s


def _median(times_s: list[float]) -> str:
    return f"{statistics.median(times_s) * 1e3:.2f}"


def _ratio(theirs_s: list[float], ours_s: list[float]) -> str:
    ratios = [theirs / ours for theirs, ours in zip(theirs_s, ours_s, strict=True)]
    return f"{statistics.median(ratios):.1f}x"
