"""The U-Net and others compiled: each form beside TensorFlow, and the best through an endpoint.

All engines are in one process and take turns; a ratio is of medians over rounds, its interval from
resampling the rounds. CPU time tells more than latency where others use the machine. Masks are
held against TensorFlow's and against the truth of held-out pictures; int8 is calibrated with
pictures that are in neither the training's nor the held-out set. TensorFlow's own bf16 and XLA, and
ONNX Runtime, run the same model. Models but the U-Net have seeded random weights.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import numpy as np

from benchmarks.compiler_models import write_bert, write_mobilenet
from benchmarks.contest import Contestant, measure
from benchmarks.endpoints import IMAGE, endpoint, upload
from benchmarks.machine import cpu_s, tree
from benchmarks.signed import invocation
from benchmarks.unet import sample, unpacked
from windtunnel.cli.cloud_process import running_cloud
from windtunnel.compiler.measure import Run, compare, measure_latency
from windtunnel.compiler.verify import THRESHOLD
from windtunnel.core import processor
from windtunnel.core.home import Home
from windtunnel.sample.pictures import picture
from windtunnel.serving.engines.compiled import load_compiled
from windtunnel.serving.engines.engine import Engine, Threads

# Neither of the training's pictures nor of the held-out ones (sample/train.py).
_CALIBRATION_SEED, _CALIBRATION_COUNT = 7, 32
_HELD_OUT_SEED, _HELD_OUT_FIRST, _HELD_OUT_COUNT = 2022, 1_000_000, 16
_BUDGET_S = 60.0
_ROUNDS, _DURATION_S, _CONNECTIONS = 5, 4.0, 4
_PROMISED = {"f32": 1.0, "bf16": 1.9, "int8": 3.0}


@dataclass(frozen=True)
class _Form:
    """A way to run the U-Net."""

    run: Callable[[np.ndarray], np.ndarray]


def main() -> list[str]:
    """Measure and return the lines of the tables."""
    if not processor.features() & {"avx512_bf16", "amx_bf16"}:
        return ["This machine's processor has no bf16: the promises are of one that has."]
    source = sample()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        calibration = calibration_data(directory)
        compiled, jobs = {}, []
        for precision in ("f32", "bf16", "int8"):
            compiled[precision], took_s = compile_for(
                directory, source / "model.tar.gz", precision, calibration
            )
            jobs.append(f"{precision} alone {took_s:.0f} s")
        lines = _unet_table(unpacked(source, directory), compiled, directory)
        lines += ["", f"Jobs: {', '.join(jobs)}.", ""]
        lines += _full_job(directory, source / "model.tar.gz", calibration)
        lines += ["", *_others(directory), "", *_end_to_end(source, compiled)]
    return lines


def calibration_data(directory: Path) -> Path:
    """Write pictures to quantise by; return the file."""
    path = directory / "calibration.npz"
    pixels = [picture(_CALIBRATION_SEED, index).pixels for index in range(_CALIBRATION_COUNT)]
    np.savez(path, inputs=np.stack(pixels).astype(np.float32))
    return path


def compile_for(
    directory: Path,
    archive: Path,
    precision: str | None,
    calibration: Path | None,
    # Not "local", which refuses what gains nothing.
    target: str = "ml_c7i",
) -> tuple[Path, float]:
    """Compile with one precision, or with all; return the archive and what it took."""
    name = f"{archive.parent.name}-{precision or 'all'}"
    job = {
        "archive": str(archive),
        "output": str(directory / f"{name}.tar.gz"),
        "report_dir": str(directory / name),
        "framework": "TENSORFLOW",
        "target": target,
        "compiler_options": json.dumps({"precisions": [precision]}) if precision else None,
        "calibration": None if calibration is None else str(calibration),
    }
    file = directory / f"{name}.json"
    file.write_text(json.dumps(job))
    begin_s = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "windtunnel.compiler", str(file)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return directory / f"{name}.tar.gz", time.monotonic() - begin_s


def _load(archive: Path, directory: Path) -> Engine:
    folder = directory / f"{archive.name}-unpacked"
    folder.mkdir()
    subprocess.run(["tar", "xzf", archive, "-C", folder], check=True)
    return load_compiled(next(folder.rglob("windtunnel.json")).parent, Threads())


def _forms(model_dir: Path, compiled: Mapping[str, Path], directory: Path) -> dict[str, _Form]:
    """Return every way to run the U-Net, TensorFlow first."""
    from windtunnel.compiler.sources import SavedModel

    source = SavedModel(model_dir)
    forms = {"TensorFlow": _Form(_caller(source.baseline))}
    forms["TensorFlow, bf16"] = _Form(_tensorflow_bf16(model_dir))
    forms["TensorFlow, XLA"] = _Form(_xla(model_dir))
    forms["ONNX Runtime"] = _Form(_onnx(source, directory))
    for precision, archive in compiled.items():
        forms[f"compiled, {precision}"] = _Form(_caller(_load(archive, directory)))
    return forms


def _caller(engine: Engine) -> Callable[[np.ndarray], np.ndarray]:
    signature = engine.signatures["serving_default"]
    return lambda pixels: np.asarray(engine.run(signature, {"inputs": pixels})["outputs"])


def _tensorflow_bf16(model_dir: Path) -> Callable[[np.ndarray], np.ndarray]:
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

    from windtunnel.serving.engines.tensorflow import TensorFlowEngine

    config = config_pb2.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    return _caller(TensorFlowEngine(model_dir, config, chooses_pool=False))


def _xla(model_dir: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model_dir))
    function = tf.function(loaded.signatures["serving_default"], jit_compile=True)

    # The default argument keeps alive what owns the variables.
    def run(pixels: np.ndarray, owner: object = loaded) -> np.ndarray:
        del owner
        return np.asarray(function(inputs=tf.constant(pixels))["outputs"].numpy())

    return run


def _onnx(source: Any, directory: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    path = directory / "unet.onnx"
    names = source.to_onnx(path)
    options = onnxruntime.SessionOptions()
    # Threads that wait by spinning would take the cores of whoever's turn is next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run([names["outputs"]], {names["inputs"]: pixels})[0])


def _unet_table(model_dir: Path, compiled: Mapping[str, Path], directory: Path) -> list[str]:
    forms = _forms(model_dir, compiled, directory)
    held_out = [
        picture(_HELD_OUT_SEED, _HELD_OUT_FIRST + index) for index in range(_HELD_OUT_COUNT)
    ]
    batches = [each.pixels[np.newaxis].astype(np.float32) for each in held_out]
    masks = {
        name: [form.run(batch)[0, ..., 0] > THRESHOLD for batch in batches]
        for name, form in forms.items()
    }
    runs: dict[str, Run] = {name: partial(form.run, batches[0]) for name, form in forms.items()}
    timings = measure_latency(runs, _BUDGET_S, lambda _: None)
    base = timings["TensorFlow"]
    truth = [each.mask for each in held_out]
    rows = [
        "| U-Net, 256 x 256, in this process | p50 | times TensorFlow (95%) | promised "
        "| CPU | times TensorFlow's | IoU with TensorFlow's masks | with the truth |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, timing in timings.items():
        ratio = compare(base, timing)
        promised = _PROMISED.get(name.removeprefix("compiled, "), "")
        rows.append(
            f"| {name} | {timing.p50_s * 1e3:.1f} ms "
            f"| {ratio.value:.2f}x ({ratio.low:.2f} to {ratio.high:.2f}) | {promised} "
            f"| {timing.cpu_s * 1e3:.1f} ms | {base.cpu_s / timing.cpu_s:.2f}x "
            f"| {_iou(masks[name], masks['TensorFlow']):.4f} | {_iou(masks[name], truth):.4f} |"
        )
    return rows


def _iou(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    return float(
        np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(some, others, strict=True)])
    )


def _full_job(directory: Path, archive: Path, calibration: Path) -> list[str]:
    _, without_s = compile_for(directory, archive, None, None)
    below = directory / "whole"
    below.mkdir()
    _, with_s = compile_for(below, archive, None, calibration)
    return [
        f"A whole job, all forms tried and measured: {without_s:.0f} s (promised 60),"
        f" with int8 {with_s:.0f} s (120)."
    ]


def _others(directory: Path) -> list[str]:
    """Compile other kinds of models; what their reports say, as a table."""
    rows = [
        "| model | form | p50 | times TensorFlow (95%) | CPU | nearness | tolerance |",
        "|---|---|---|---|---|---|---|",
    ]
    for write in (write_mobilenet, write_bert):
        below = directory / write.__name__
        below.mkdir()
        archive, calibration = write(below)
        compile_for(below, archive, None, calibration)
        report = json.loads((below / f"{below.name}-all" / "report.json").read_text())
        title = (write.__doc__ or "").rstrip(".")
        for each in (report["baseline"], *report["candidates"]):
            low, high = each.get("times_baseline_95", (float("nan"),) * 2)
            rows.append(
                f"| {title} | {each['name']} | {each.get('p50_ms', float('nan')):.2f} ms "
                f"| {each.get('times_baseline', float('nan')):.2f}x ({low:.2f} to {high:.2f}) "
                f"| {each.get('cpu_ms', float('nan')):.2f} ms | {each.get('score', 1):.4f} "
                f"| {each.get('tolerance', '')} |"
            )
    return rows


def _end_to_end(source: Path, compiled: Mapping[str, Path]) -> list[str]:
    body = (source / "payload.json").read_bytes()
    archives = {"TensorFlow": source / "model.tar.gz", **compiled}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = Home(directory / "home")
        cloud = stack.enter_context(running_cloud(home, log=directory / "up.log"))
        session = boto3.Session()
        contestants = {}
        for name, archive in archives.items():
            url = upload(session, cloud, archive, f"{name}/model.tar.gz")
            endpoint_name = stack.enter_context(
                endpoint(session, cloud, {"Image": IMAGE, "ModelDataUrl": url})
            )
            make = lambda of=endpoint_name: invocation(home, cloud.url, of, body)  # noqa: E731
            contestants[name] = Contestant(name, cloud.url, make, cloud.process.pid)
        gateway = tree(cloud.process.pid)[:1]
        own_s: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(_ROUNDS):
            for name, each in contestants.items():
                before_s = cpu_s(gateway)
                measure(each, connections=_CONNECTIONS, duration_s=_DURATION_S)
                count = each.rates_rps[-1] * _DURATION_S
                own_s[name].append((cpu_s(gateway) - before_s) / count)
    return _end_to_end_rows(contestants, own_s)


def _end_to_end_rows(
    contestants: Mapping[str, Contestant], own_s: Mapping[str, list[float]]
) -> list[str]:
    rows = [
        "| U-Net, JSON, signed, 4 connections | requests/s | times TensorFlow's | promised "
        "| CPU a request | gateway | instance | times TensorFlow's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = contestants["TensorFlow"]
    for name, each in contestants.items():
        pairs = zip(each.rates_rps, base.rates_rps, strict=True)
        times = median(mine / other for mine, other in pairs)
        gateway_s = median(own_s[name])
        rows.append(
            f"| {name} | {each.rates_range} | {times:.2f}x | {'1.7' if name == 'bf16' else ''} "
            f"| {each.cpu_s * 1e3:.1f} ms | {gateway_s * 1e3:.1f} ms "
            f"| {(each.cpu_s - gateway_s) * 1e3:.1f} ms | {base.cpu_s / each.cpu_s:.2f}x |"
        )
    return rows
