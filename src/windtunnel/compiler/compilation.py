"""A compilation that is really done: forms made, tried, timed, and one of them written.

The order of work for one job. What each step does is in the module of its name; what is decided
here is only what follows what.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.compiler import archive, candidates, choice, samples, trial, verify
from windtunnel.compiler.cache import REPORTS
from windtunnel.compiler.candidates import Candidate, Ingredients
from windtunnel.compiler.choice import Choice, Entry, Setting
from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.job import Job
from windtunnel.compiler.options import PRECISIONS
from windtunnel.compiler.pipeline import UNPACKED
from windtunnel.compiler.report import Findings, render_page, tell_all
from windtunnel.compiler.shapes import Shapes, choose_shapes
from windtunnel.compiler.sources import Graph, Source, open_source
from windtunnel.compiler.targets import LOCAL, Kind, parse_target
from windtunnel.compiler.verify import Measure
from windtunnel.core import processor
from windtunnel.core.lease import holding
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import Tensors

Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What a compilation has brought."""

    derived: str
    engine: str
    summary: str


def compile_afresh(job: Job, work: Path, tell: Tell) -> Made:
    """Do all of a job in a folder for it; the artefact and the report are where the job says."""
    begin_s = time.monotonic()
    for name in REPORTS:
        (job.report_dir / name).unlink(missing_ok=True)
    tell("unpacking the archive", 0.0)
    unpacked = work / UNPACKED
    unpacked.mkdir()
    archive.unpack(job.archive, unpacked)
    brought = archive.find_model(unpacked, job.framework)
    tell("loading the model", 0.05)
    source = open_source(brought.model, job.framework, work, safe_mode=job.options.safe_mode)
    asked = choose_shapes(job.data_input_config, source.signature)
    run = _Compilation(job, work, tell, source, asked.shapes, unpacked)
    run.run()
    notices = (*job.options.notices, *source.notices, *asked.notices, *run.notices)
    report = tell_all(run.findings(notices))
    report["duration_s"] = round(time.monotonic() - begin_s, 2)
    (job.report_dir / REPORTS[0]).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    (job.report_dir / REPORTS[1]).write_text(render_page(report), "utf-8")
    chosen = run.take_chosen()
    if chosen is None:
        raise CompileError(run.choice.reason)
    tell("writing the archive", 0.95)
    archive.put_in_place(brought, chosen.directory)
    for name in REPORTS:
        shutil.copyfile(job.report_dir / name, unpacked / brought.place / name)
    packed = work / "packed.tar.gz"
    archive.pack(unpacked, packed)
    try:
        archive.deliver(packed, job.output)
    except OSError as error:
        raise CompileError(f"{job.output} cannot be written: {error.strerror}.") from error
    derived = json.dumps({name: list(shape) for name, shape in asked.shapes.items()})
    return Made(derived, chosen.manifest.engine, run.choice.reason)


class _Compilation:
    """The forms of one model, made, tried and timed."""

    def __init__(
        self,
        job: Job,
        work: Path,
        tell: Tell,
        source: Source,
        shapes: Shapes,
        unpacked: Path,
    ) -> None:
        self._job, self._work, self._tell = job, work, tell
        self._source, self._shapes, self._unpacked = source, shapes, unpacked
        self._is_gpu = job.target.kind is Kind.GPU
        self.notices: list[str] = []
        self.choice = Choice(None, "")
        self._samples: list[Tensors] = []
        self._calibration: list[Tensors] = []
        self._expected: list[Tensors] = []
        self._measure: Measure
        self._tried: list[str] = []
        self._candidates: list[Candidate] = []
        self._timings: dict[str, trial.Lone] = {}
        self._throughputs: dict[str, list[Setting]] = {}

    def run(self) -> None:
        """Make candidates, see whether they are right, time them, and choose."""
        job, source = self._job, self._source
        self._tried = self._choose_precisions()
        self._tell("converting the graph", 0.1)
        graph = None if self._is_gpu else source.to_openvino()
        self._choose_samples(graph)
        self._expected = self._answers(self._samples)
        own = None
        if job.options.metric is not None:
            own = verify.load_metric(job.options.metric, self._unpacked)
        self._measure = verify.choose_measure(
            self._expected, job.options.tolerance, self._tried, own
        )
        if verify.are_alike(self._expected):
            self.notices.append(
                f"{source.title} gives the same answer to all {len(self._expected)} samples: they"
                " tell forms apart badly"
            )
        self._make(graph)
        self._time()
        self.choice = choice.choose(
            [self._entry(each) for each in self._candidates],
            self._baseline_entry(),
            job.options.objective,
            must_be_faster=job.target.is_local,
        )

    def _answers(self, given: Sequence[Tensors]) -> list[Tensors]:
        try:
            return trial.answers(self._source.baseline, self._source.signature, given)
        except RequestError as error:
            raise CompileError(
                f"The model itself, run by {self._source.title}, fails on a sample: {error}."
                " Give samples of your own (calibration)."
            ) from error

    def _choose_samples(self, graph: Graph | None) -> None:
        """Find what answers are compared on, and what is quantised by."""
        signature = self._source.signature
        if self._job.calibration is not None:
            given = samples.read_samples(self._job.calibration, signature, self._shapes)
            self._calibration, self._samples = samples.divide(given)
            if "int8" in self._tried and len(given) < samples.DIVIDED_COUNT_MIN:
                self.notices.append(
                    "int8 was compared on the samples it was quantised by: give"
                    f" {samples.DIVIDED_COUNT_MIN} or more, and some are kept for comparing"
                )
            return
        highs: dict[str, float] = {}
        if graph is not None:
            found = samples.guess_highs(graph.model)
            highs = {name: found.get(graph.names[name], 1.0) for name in signature.inputs}
        self._samples = samples.make_samples(signature, self._shapes, highs)

    def _make(self, graph: Graph | None) -> None:
        job = self._job
        made_of = Ingredients(
            self._source,
            self._shapes,
            job.target,
            self._work,
            self._tried,
            self._calibration,
            can_bf16="bf16" in self._tried,
        )
        if graph is None:
            self._tell("converting to ONNX", 0.15)
            self._try(candidates.onnx_candidate(made_of))
            return
        try:
            for each in candidates.openvino_candidates(
                made_of, graph, lambda text: self._tell(text, 0.3)
            ):
                self._try(each)
            quantised = [each for each in self._candidates if each.manifest.precision == "int8"]
            if quantised and not any(map(self._is_right, quantised)):
                self._tell("quantising again, with accuracy control", 0.4)
                expected = self._answers(self._calibration[: samples.SAMPLE_COUNT])
                self._try(candidates.controlled_candidate(made_of, graph, expected, self._measure))
        except candidates.QuantiseError as error:
            self.notices.append(f"not all of int8 was tried: NNCF cannot quantise it: {error}")
        if not self._candidates:
            raise CompileError(f"No form could be made. {'; '.join(self.notices)}.")

    def _choose_precisions(self) -> list[str]:
        """Return what can be tried of what was asked for, or raise CompileError."""
        asked = self._job.options.precisions
        tried = [each for each in PRECISIONS if each in asked and self._can(each)]
        if not tried:
            raise CompileError(f"No form could be made. {'; '.join(self.notices)}.")
        return tried

    def _can(self, precision: str) -> bool:
        if precision == "f32":
            return True
        if self._is_gpu:
            # Whoever asked for nothing in particular misses nothing.
            if {*self._job.options.precisions} != {*PRECISIONS}:
                self.notices.append(f"{precision} was not tried: forms for GPUs are in f32")
            return False
        if precision == "int8" and self._job.calibration is None:
            self.notices.append(
                "int8 was not tried: it needs calibration data (the option calibration)"
            )
            return False
        return precision != "bf16" or self._can_bf16()

    def _can_bf16(self) -> bool:
        job = self._job
        if not job.target.computes_bf16:
            self.notices.append(f"bf16 was not tried: {job.target.name} does not compute in it")
            return False
        is_here = parse_target(LOCAL, processor.features()).computes_bf16
        if not is_here:
            self.notices.append(
                "bf16 was not tried: the target computes in it and this machine does not, so that"
                " its answers could not be checked"
            )
        return is_here

    def _try(self, candidate: Candidate) -> None:
        self._tell(f"comparing the answers of {candidate.name}", 0.45)
        try:
            got = trial.answers(candidate.engine, self._source.signature, self._samples)
        except RequestError as error:
            raise CompileError(f"The form {candidate.name} fails on a sample: {error}") from error
        candidate.score = self._measure.score(self._expected, got)
        self._candidates.append(candidate)

    def _is_right(self, candidate: Candidate) -> bool:
        return candidate.score >= self._tolerance(candidate)

    def _tolerance(self, candidate: Candidate) -> float:
        return self._measure.tolerance.get(candidate.manifest.precision, 1.0)

    @property
    def _is_measured(self) -> bool:
        """Whether there is something here to measure on."""
        return not self._is_gpu or any(map(trial.runs_on_gpu, self._candidates))

    def _time(self) -> None:
        right = [each for each in self._candidates if self._is_right(each)]
        if not right or not self._is_measured:
            return
        lease = self._job.lease
        held = nullcontext() if lease is None else holding(lease, "a compilation", self._wait)
        with held:
            self._timings = trial.time_all(
                self._source,
                right,
                self._samples,
                self._job.effort,
                lambda text, share: self._tell(text, 0.5 + 0.2 * share),
            )
            if any(each.is_disturbed for each in self._timings.values()):
                self.notices.append(
                    "others used this machine's cores meanwhile: on an idle one latencies are"
                    " lower, and the forms are further apart"
                )
            self._throughputs = trial.throughputs(
                self._source,
                right,
                self._samples,
                self._job.effort,
                lambda text, share: self._tell(text, 0.7 + 0.2 * share),
            )

    def _wait(self, who: str) -> None:
        self._tell(f"waiting for {who}, which measures", 0.45)

    def _entry(self, candidate: Candidate) -> Entry:
        name = candidate.name
        timing = self._timings.get(name)
        return Entry(
            name,
            candidate.score,
            self._tolerance(candidate),
            None if timing is None else timing.timing.p50_s,
            self._best_rate(name),
        )

    def _baseline_entry(self) -> Entry:
        timing = self._timings.get(trial.BASELINE)
        p50_s = None if timing is None else timing.timing.p50_s
        return Entry(self._source.title, 1.0, 0.0, p50_s, self._best_rate(trial.BASELINE))

    def _best_rate(self, name: str) -> float | None:
        rates = [each.inferences_per_s for each in self._throughputs.get(name, [])]
        return max(rates, default=None)

    def _named(self, name: str | None) -> Candidate | None:
        return next((each for each in self._candidates if each.name == name), None)

    def take_chosen(self) -> Candidate | None:
        """Return the chosen candidate as it shall be served, or None."""
        found = self._named(self.choice.name)
        if found is None:
            return None
        timing = self._timings.get(found.name)
        lone, busy = choice.choose_streams(
            self._throughputs.get(found.name, []),
            0 if timing is None else timing.threads,
            self._job.options.objective,
        )
        found.manifest = replace(found.manifest, lone=lone, busy=busy)
        found.manifest.write(found.directory)
        return trial.export_blob(found) if self._job.target.is_local else found

    def findings(self, notices: Sequence[str]) -> Findings:
        """Return all that is known, for the report."""
        chosen = self._named(self.choice.name)
        profile = None
        if chosen is not None and not self._is_gpu:
            profile = trial.profile(chosen, self._samples[0])
        return Findings(
            job=self._job,
            source=self._source,
            shapes=self._shapes,
            samples=f"{len(self._calibration)} given" if self._calibration else "seeded",
            measure=self._measure,
            candidates=self._candidates,
            timings=self._timings,
            throughputs=self._throughputs,
            choice=self.choice,
            profile=profile,
            notices=notices,
            is_measured=self._is_measured,
        )
