"""What a container counts, in a file of memory that all of its processes share.

Each process has a row of numbers that only it writes; whoever is asked for `/metrics` adds up all
rows. So any process answers for the whole container without asking the others, a hanging one keeps
nobody waiting, and what a crashed one counted stays counted. Recording costs about two microseconds
and is done where a request ends, beside nothing that waits.

    row       starts, requests in hand, requests that wait, batches by rows, then for each model:
    a model   answers by status, then the histograms of STAGES

A histogram is a count for each bound and one for what is larger, and the sum.
"""

import json
import mmap
import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.tensors import Signature, Tensors

# From what a tiny model takes for a stage to what SageMaker allows an invocation.
BOUNDS_S = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
BOUNDS_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
# What ends a request over REST, nginx's word for a client that left (499), and gRPC's codes.
STATUSES = (
    *("200", "400", "404", "405", "406", "412", "413", "415", "499", "500", "502", "503", "504"),
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    *("UNAUTHENTICATED", "other"),
)
STAGES = ("request", "decode", "engine", "encode")
# What a container calls the file, where its sockets are.
FILE_NAME = "meters"
# The model of what named none that is here: clients do not choose how many models are counted.
NO_MODEL = ""

_STARTS, _IN_HAND, _WAITING, _ROWS = range(4)
ROWS_SIZE = len(BOUNDS_ROWS) + 2
STAGE_SIZE = len(BOUNDS_S) + 2
MODELS_AT = _ROWS + ROWS_SIZE
MODEL_SIZE = len(STATUSES) + len(STAGES) * STAGE_SIZE
_NUMBER_BYTES = 8
_STATUS_INDEX: Mapping[str, int] = {status: index for index, status in enumerate(STATUSES)}


class Row(NamedTuple):
    """What one process has counted."""

    process: str
    starts: float
    in_hand: float
    waiting: float
    batch_rows: Sequence[float]
    # By model: answers by status, and then histograms by stage.
    models: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class MeterPlan:
    """Where a container's numbers are, and which row is one process's."""

    path: str
    models: Sequence[str]
    # What each row's process is.
    processes: Sequence[str]
    index: int = 0

    @property
    def row_size(self) -> int:
        """How many numbers a process has."""
        return MODELS_AT + (len(self.models) + 1) * MODEL_SIZE

    def create(self) -> None:
        """Make the file, all zeros; before any process opens it."""
        names = {"models": [*self.models], "processes": [*self.processes]}
        _names_path(self.path).write_text(json.dumps(names))
        with Path(self.path).open("wb") as file:
            file.truncate(self.row_size * len(self.processes) * _NUMBER_BYTES)

    def open(self) -> "Meter":
        """Begin to count, in a process that has just started."""
        return Meter(self)


def read_rows(path: str) -> list[Row]:
    """Return what the processes of a container count there, to one that is none of them.

    Raises OSError where the container is gone.
    """
    names = json.loads(_names_path(path).read_text())
    with Path(path).open("rb") as file:
        numbers = memoryview(file.read()).cast("d")
    return _read_rows(MeterPlan(path, names["models"], names["processes"]), numbers)


def _names_path(path: str) -> Path:
    return Path(f"{path}.json")


def _read_rows(plan: MeterPlan, numbers: "memoryview[float]") -> list[Row]:
    size = plan.row_size
    return [
        _read_row(plan, process, numbers[index * size : (index + 1) * size].tolist())
        for index, process in enumerate(plan.processes)
    ]


def _read_row(plan: MeterPlan, process: str, numbers: Sequence[float]) -> Row:
    names = (*plan.models, NO_MODEL)
    starts = range(MODELS_AT, len(numbers), MODEL_SIZE)
    return Row(
        process,
        numbers[_STARTS],
        numbers[_IN_HAND],
        numbers[_WAITING],
        numbers[_ROWS:MODELS_AT],
        {name: numbers[at : at + MODEL_SIZE] for name, at in zip(names, starts, strict=True)},
    )


class Meter:
    """One process's counts; may be told of things by any of its threads."""

    def __init__(self, plan: MeterPlan) -> None:
        self._plan = plan
        with Path(plan.path).open("r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
        self._first = plan.index * plan.row_size
        names = (*plan.models, NO_MODEL)
        self._models = {
            name: self._first + MODELS_AT + index * MODEL_SIZE for index, name in enumerate(names)
        }
        # A thread may be stopped between reading a number and writing it.
        self._lock = threading.Lock()
        self._numbers[self._first + _STARTS] += 1
        # A predecessor that crashed has nothing in hand any more.
        self.note_queue(0, 0)

    def note_queue(self, in_hand: int, waiting: int) -> None:
        """Take how many requests are here, and how many of them no thread has begun."""
        self._numbers[self._first + _IN_HAND] = in_hand
        self._numbers[self._first + _WAITING] = waiting

    def note_batch(self, rows: int) -> None:
        """Count a batch."""
        with self._lock:
            self._add(self._first + _ROWS, BOUNDS_ROWS, rows)

    def note_answer(
        self, model: str, status: str, request_s: float, stages: "Stages | None" = None
    ) -> None:
        """Count a request that ended, with the stages of one that an engine has run."""
        at = self._models.get(model)
        if at is None:
            at = self._models[NO_MODEL]
        stage_at = at + len(STATUSES)
        with self._lock:
            self._numbers[at + _STATUS_INDEX.get(status, len(STATUSES) - 1)] += 1
            self._add(stage_at, BOUNDS_S, request_s)
            if stages is not None and stages.engine_begin_s:
                for value_s in stages.durations_s():
                    stage_at += STAGE_SIZE
                    self._add(stage_at, BOUNDS_S, value_s)

    def _add(self, at: int, bounds: tuple[float, ...], value: float) -> None:
        self._numbers[at + bisect_left(bounds, value)] += 1
        self._numbers[at + len(bounds) + 1] += value

    def read(self) -> list[Row]:
        """Return what each process of the container has counted."""
        return _read_rows(self._plan, self._numbers)


# --- The stages of one request --------------------------------------------------------------

_here = threading.local()


class Stages:
    """When the thread that has one request came to its engine, and when it came back."""

    __slots__ = ("begin_s", "end_s", "engine_begin_s", "engine_end_s", "engine_s", "model")

    def __init__(self) -> None:
        """Begin; what engines do on this thread from now on is this request's."""
        _here.stages = self
        # Known when an engine runs.
        self.model = NO_MODEL
        self.engine_begin_s = self.engine_end_s = self.engine_s = self.end_s = 0.0
        self.begin_s = time.monotonic()

    def end(self) -> None:
        """Take note that the answer is there."""
        self.end_s = time.monotonic()
        _here.stages = None

    def durations_s(self) -> tuple[float, float, float]:
        """Return how long decoding, the engine and encoding took."""
        return (
            self.engine_begin_s - self.begin_s,
            self.engine_s,
            self.end_s - self.engine_end_s,
        )


class MeteredEngine:
    """An engine that tells a request's stages of its runs; waiting for a batch is a part of one."""

    def __init__(self, engine: Engine, model: str) -> None:
        self.signatures = engine.signatures
        self.definitions = engine.definitions
        self.warm_up = engine.warm_up
        self._run = engine.run
        self._model = model

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Run, and measure it."""
        stages: Stages | None = getattr(_here, "stages", None)
        if stages is None:
            return self._run(signature, inputs)
        begin_s = time.monotonic()
        stages.model = self._model
        stages.engine_begin_s = stages.engine_begin_s or begin_s
        try:
            return self._run(signature, inputs)
        finally:
            stages.engine_end_s = time.monotonic()
            stages.engine_s += stages.engine_end_s - begin_s
