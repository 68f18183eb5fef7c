"""Compiled forms of the U-Net beside OpenVINO's own `benchmark_app`, on the same graphs.

`benchmark_app` is asked for latency (one request at a time) and for throughput with what its own
hints choose and with streams and threads set by hand; the best of each counts. Ours are run by the
engine that containers use, in a process of its own as well; rounds alternate, each of so many
seconds, and medians are taken.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.compiler import calibration_data, compile_for
from benchmarks.unet import sample
from windtunnel.core import processor

_ROUNDS = 3
_SECONDS = 3
# OpenVINO must not report its use to its makers.
_APP = (
    "import sys; sys.modules['openvino_telemetry'] = None; "
    "from openvino.tools.benchmark.main import main; main()"
)
_OURS = """
import json, sys, time
from pathlib import Path
import numpy as np
from windtunnel.compiler.measure import measure_throughput
from windtunnel.serving.engines.compiled import load_compiled
from windtunnel.serving.engines.engine import Threads
engine = load_compiled(Path(sys.argv[1]), Threads())
signature = engine.signatures["serving_default"]
inputs = {"inputs": np.random.rand(1, 256, 256, 3).astype(np.float32)}
run = lambda: engine.run(signature, inputs)
engine.warm_up()
end_s, times_s = time.perf_counter() + float(sys.argv[2]), []
while time.perf_counter() < end_s:
    begin_s = time.perf_counter()
    run()
    times_s.append(time.perf_counter() - begin_s)
rate = measure_throughput(run, 4, float(sys.argv[2]))
print(json.dumps({"p50_ms": float(np.median(times_s)) * 1e3, "rate": rate}))
"""


def main() -> list[str]:
    """Measure and return the lines of a table."""
    rows = [
        "| form | p50 | best of benchmark_app's | ours is | inferences/s, 4 at once "
        "| best of benchmark_app's | ours is |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        samples = calibration_data(directory)
        for precision in ("f32", "bf16", "int8"):
            archive, _ = compile_for(directory, sample() / "model.tar.gz", precision, samples)
            rows.append(_row(precision, archive, directory))
    return rows


def _row(precision: str, archive: Path, directory: Path) -> str:
    folder = directory / f"{precision}-unpacked"
    folder.mkdir()
    subprocess.run(["tar", "xzf", archive, "-C", folder], check=True)
    place = next(folder.rglob("windtunnel.json")).parent
    floats = json.loads((place / "windtunnel.json").read_text())["floats"]
    ours: list[dict[str, float]] = []
    latencies: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    for _ in range(_ROUNDS):
        ours.append(json.loads(_run(["-c", _OURS, str(place), str(_SECONDS)])))
        for words in _latency_settings():
            found, _ = _app(place, floats, words)
            latencies.setdefault(" ".join(words), []).append(found)
        for words in _throughput_settings():
            _, rate = _app(place, floats, words)
            rates.setdefault(" ".join(words), []).append(rate)
    p50_ms, rate = median(each["p50_ms"] for each in ours), median(each["rate"] for each in ours)
    least = min(median(values) for values in latencies.values())
    most = max(median(values) for values in rates.values())
    return (
        f"| {precision} | {p50_ms:.2f} ms | {least:.2f} ms | {100 * least / p50_ms:.0f}% "
        f"| {rate:.1f} | {most:.1f} | {100 * rate / most:.0f}% |"
    )


def _latency_settings() -> list[list[str]]:
    lone = ["-api", "sync"]
    by_hand = [
        [*lone, "-hint", "none", "-nstreams", "1", "-nthreads", str(count)]
        for count in sorted({1, processor.core_count()})
    ]
    return [[*lone, "-hint", "latency"], *by_hand]


def _throughput_settings() -> list[list[str]]:
    many, cores = ["-api", "async"], processor.core_count()
    by_hand = [
        [*many, "-hint", "none", "-nstreams", str(count), "-nthreads", str(cores)]
        for count in sorted({1, cores})
    ]
    return [[*many, "-hint", "throughput"], *by_hand]


def _app(place: Path, floats: str, words: Sequence[str]) -> tuple[float, float]:
    said = _run(
        [
            *("-c", _APP, "-m", str(place / "model.xml"), "-shape", "[1,256,256,3]"),
            *("-t", str(_SECONDS), "-infer_precision", floats, *words),
        ]
    )
    return _figure(r"Median:\s+([\d.]+) ms", said), _figure(r"Throughput:\s+([\d.]+) FPS", said)


def _figure(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise SystemExit(f"benchmark_app said no {pattern}: {said[-500:]}")
    return float(found[1])


def _run(arguments: Sequence[str]) -> str:
    return subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True
    ).stdout
