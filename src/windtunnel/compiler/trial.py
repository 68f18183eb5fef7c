"""Candidates put to the test beside the baseline: answers, latency, throughput, what is left."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from windtunnel.compiler.candidates import Candidate
from windtunnel.compiler.choice import Setting
from windtunnel.compiler.measure import Run, Timing, measure_latency, measure_throughput
from windtunnel.compiler.sources import Source
from windtunnel.core import processor
from windtunnel.serving.compiled import MANIFEST, Streams
from windtunnel.serving.engines.engine import Engine, Threads
from windtunnel.serving.openvino_library import ov
from windtunnel.serving.tensors import Signature, Tensors

logger = logging.getLogger(__name__)

# Of measuring latencies, for all contestants together, and of each setting's throughput. A job for
# a U-Net shall end within a minute.
_LATENCY_BUDGET_S = 12.0
_THROUGHPUT_S = 0.7
_THROUGHPUT_ROUND_COUNT = 3
BASELINE = "baseline"
_BLOB = "model.blob"
_PROFILED_RUN_COUNT = 9
Tell = Callable[[str, float], None]


def answers(engine: Engine, signature: Signature, samples: Sequence[Tensors]) -> list[Tensors]:
    """Return what an engine answers to each sample."""
    return [engine.run(signature, sample) for sample in samples]


@dataclass(frozen=True, slots=True)
class Lone:
    """What one inference after the other takes, and the threads that it is served with."""

    timing: Timing
    # 0: all cores.
    threads: int
    # Whether all cores were not there for it.
    is_disturbed: bool = False


def time_all(
    source: Source,
    candidates: Sequence[Candidate],
    samples: Sequence[Tensors],
    effort: float,
    tell: Tell,
) -> dict[str, Lone]:
    """Time the baseline and all candidates; the baseline has its own name.

    Candidates are tried with all cores and with one thread, which is all that a small graph wants.
    """
    runs: dict[str, Run] = {BASELINE: _runner(source.baseline, source.signature, samples)}
    threads: dict[str, tuple[str, int]] = {BASELINE: (BASELINE, 0)}
    for each in candidates:
        for count in (0, 1) if processor.core_count() > 1 and _has_threads(each) else (0,):
            name = f"{each.name}, {count or 'all'} threads"
            engine = _load(each, 1, count) if count else each.engine
            runs[name] = _runner(engine, source.signature, samples)
            threads[name] = each.name, count
    what = f"measuring {len(candidates) + 1} forms beside each other"
    timings = measure_latency(runs, effort * _LATENCY_BUDGET_S, lambda share: tell(what, share))
    by_form: dict[str, dict[int, Timing]] = {}
    for name, timing in timings.items():
        form, count = threads[name]
        by_form.setdefault(form, {})[count] = timing
    return {form: choose_lone(tried) for form, tried in by_form.items()}


def choose_lone(tried: Mapping[int, Timing]) -> Lone:
    """Return the better of two counts of threads, by which 0 is all cores.

    Where all cores took longer than the CPU time that they had, they had to wait for cores that
    others used. Then one thread, which waits for nobody, tells more of what the form is worth; but
    it is served with all, because what serves will not be kept waiting so.
    """
    everything = tried[0]
    best = min(tried, key=lambda count: tried[count].p50_s)
    is_disturbed = len(tried) > 1 and everything.p50_s > everything.cpu_s
    return Lone(tried[best], 0 if is_disturbed else best, is_disturbed)


def _has_threads(candidate: Candidate) -> bool:
    """Say whether its manifest is where its threads are told."""
    return candidate.manifest.engine == "openvino"


def _runner(engine: Engine, signature: Signature, samples: Sequence[Tensors]) -> Run:
    turn = 0

    def run() -> None:
        nonlocal turn
        turn = (turn + 1) % len(samples)
        engine.run(signature, samples[turn])

    return run


def settings_to_try() -> list[tuple[int, int]]:
    """Return streams and threads of each: all cores for one, one for each, and half-way."""
    cores = processor.core_count()
    streams = sorted({1, max(1, cores // 2), cores})
    return [(count, max(1, cores // count)) for count in streams]


def throughputs(
    source: Source,
    candidates: Iterable[Candidate],
    samples: Sequence[Tensors],
    effort: float,
    tell: Tell,
) -> dict[str, list[Setting]]:
    """Measure inferences a second of the baseline and of each candidate with each setting."""
    cores = processor.core_count()
    contestants: list[tuple[str, int, int, Engine]] = [(BASELINE, cores, 0, source.baseline)]
    for each in candidates:
        if not _has_threads(each):
            contestants.append((each.name, cores, 0, each.engine))
            continue
        for streams, threads in settings_to_try():
            contestants.append((each.name, streams, threads, _load(each, streams, threads)))
    rates: dict[tuple[str, int, int], list[float]] = {}
    rounds = [each for _ in range(_THROUGHPUT_ROUND_COUNT) for each in contestants]
    for number, (name, streams, threads, engine) in enumerate(rounds):
        tell("measuring throughput", number / len(rounds))
        run = _runner(engine, source.signature, samples)
        # Two callers a core, so that one is there when the other is done: as many for a single
        # stream, on which they wait for each other as requests to an endpoint would.
        rate = measure_throughput(run, 2 * cores, effort * _THROUGHPUT_S)
        rates.setdefault((name, streams, threads), []).append(rate)
    found: dict[str, list[Setting]] = {}
    for (name, streams, threads), values in rates.items():
        found.setdefault(name, []).append(Setting(streams, threads, max(values)))
    return found


def _load(candidate: Candidate, streams: int, threads: int) -> Engine:
    from windtunnel.serving.engines.compiled import load_compiled

    setting = Streams(streams, threads)
    manifest = replace(candidate.manifest, lone=setting, busy=setting)
    directory = candidate.directory.with_name(f"{candidate.directory.name}-{streams}x{threads}")
    directory.mkdir(exist_ok=True)
    for path in candidate.directory.iterdir():
        if path.name != MANIFEST and not (directory / path.name).exists():
            (directory / path.name).symlink_to(path)
    manifest.write(directory)
    return load_compiled(directory, Threads())


def profile(candidate: Candidate, sample: Tensors) -> dict[str, Any]:
    """Return how long one inference spends in operations of each precision.

    What a quantised graph still computes in floats is what it could gain by.
    """
    directory, manifest = candidate.directory, candidate.manifest
    core = ov.Core()
    model = core.read_model(directory / manifest.model)
    names = manifest.names
    model.reshape({names[name]: list(shape) for name, shape in manifest.shapes.items()})
    properties = {"PERF_COUNT": True, "INFERENCE_PRECISION_HINT": manifest.floats}
    request = core.compile_model(model, "CPU", properties).create_infer_request()
    feeds = {names[name]: value for name, value in sample.items()}
    # By node, the least of some runs: what others do on the machine only adds.
    least_ms: dict[str, tuple[str, str, float]] = {}
    for _ in range(_PROFILED_RUN_COUNT):
        request.infer(feeds)
        for each in request.profiling_info:
            took_ms = each.real_time.total_seconds() * 1e3
            known = least_ms.get(each.node_name)
            if known is None or took_ms < known[2]:
                least_ms[each.node_name] = (each.node_type, each.exec_type, took_ms)
    by_precision: dict[str, float] = {}
    floats: dict[str, float] = {}
    for node_type, execution, took_ms in least_ms.values():
        if took_ms == 0:
            continue
        precision = execution.rpartition("_")[2].lower()
        by_precision[precision] = by_precision.get(precision, 0.0) + took_ms
        if precision not in {"i8", "u8"}:
            floats[node_type] = floats.get(node_type, 0.0) + took_ms
    return {
        "ms_by_precision": _rounded(by_precision),
        "ms_in_floats_by_operation": _rounded(floats),
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    ordered = sorted(values.items(), key=lambda item: -item[1])
    return {name: round(value, 3) for name, value in ordered}


def export_blob(candidate: Candidate) -> Candidate:
    """Keep the compiled graph beside the other, for the kind of CPU it was compiled on."""
    from windtunnel.serving.engines.openvino import OpenVinoEngine

    if not isinstance(candidate.engine, OpenVinoEngine):
        return candidate
    try:
        content = candidate.engine.export()
    except RuntimeError as error:
        logger.info("the compiled graph cannot be kept: %s", error)
        return candidate
    (candidate.directory / _BLOB).write_bytes(content)
    candidate.manifest = replace(candidate.manifest, blob=_BLOB)
    candidate.manifest.write(candidate.directory)
    return candidate


def runs_on_gpu(candidate: Candidate) -> bool:
    """Say whether what a candidate takes here is the time of a GPU."""
    from windtunnel.serving.engines.onnx import OnnxEngine

    return isinstance(candidate.engine, OnnxEngine) and candidate.engine.uses_gpu
