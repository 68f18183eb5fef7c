"""Real compilations of tiny models, all in this process: TensorFlow takes seconds to import.

The libraries that convert warn of their own future; that is no failure of ours.
"""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from windtunnel.compiler import archive
from windtunnel.compiler.job import make_job
from windtunnel.compiler.pipeline import Outcome, compile_job
from windtunnel.serving.compiled import Manifest, read_manifest
from windtunnel.serving.engines.engine import Engine, Threads
from windtunnel.serving.tensors import DEFAULT_SIGNATURE

# Enough to see that something is measured; what is measured then decides nothing here.
EFFORT = 0.02
# A target that is not this machine: a job for it ends well, whatever is faster here.
ELSEWHERE = "ml_c5"
SHAPE = '{"inputs": [1, 32, 32, 3]}'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@dataclass(frozen=True)
class Compiled:
    """What a job has made."""

    outcome: Outcome
    report: dict[str, Any]
    told: list[tuple[str, float]]
    # The compiled archive, unpacked.
    directory: Path

    @property
    def version(self) -> Path:
        (found,) = self.directory.rglob("windtunnel.json")
        return found.parent

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.version)

    def files(self) -> set[str]:
        paths = (path for path in self.directory.rglob("*") if path.is_file())
        return {path.relative_to(self.directory).as_posix() for path in paths}

    def load(self) -> Engine:
        from windtunnel.serving.engines.compiled import load_compiled

        return load_compiled(self.version, Threads())

    def candidate(self, name: str) -> dict[str, Any]:
        (found,) = (each for each in self.report["candidates"] if each["name"] == name)
        return dict(found)


def ask(engine: Engine, **inputs: Any) -> dict[str, Any]:
    return {**engine.run(engine.signatures[DEFAULT_SIGNATURE], inputs)}


class Compiler:
    """Compiles archives into a folder of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = 0

    def job_file(self, model: Path, **given: Any) -> dict[str, Any]:
        """Return what a job's file would say."""
        self._count += 1
        directory = self._directory / str(self._count)
        directory.mkdir()
        options = given.pop("options", None)
        return {
            "archive": str(model),
            "output": str(directory / "out" / "compiled.tar.gz"),
            "report_dir": str(directory / "report"),
            "framework": "TENSORFLOW",
            "target": ELSEWHERE,
            "compiler_options": None if options is None else json.dumps(options),
            "effort": EFFORT,
        } | given

    def __call__(self, model: Path, **given: Any) -> Compiled:
        return self.run(self.job_file(model, **given))

    def run(self, said: dict[str, Any], told: list[tuple[str, float]] | None = None) -> Compiled:
        """Do a job; `told` is filled as it goes on."""
        told = [] if told is None else told
        outcome = compile_job(make_job(said), lambda text, done: told.append((text, done)))
        directory = outcome.output.parent.parent / f"unpacked-{len(told)}"
        directory.mkdir()
        archive.unpack(outcome.output, directory)
        report = json.loads((Path(said["report_dir"]) / "report.json").read_text())
        return Compiled(outcome, report, told, directory)


@dataclass(frozen=True)
class Models:
    """Archives, and the SavedModels that some are made of."""

    directory: Path
    masks_saved: Path
    masks: Path
    pair_saved: Path
    pair: Path


_SCRIPT = """
def input_handler(data, context):
    return data.read().decode()

def output_handler(data, context):
    return data.content, "application/json; scripted"
"""


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow, which no process imports that only collects."""
    return importlib.import_module("tensorflow")


@pytest.fixture(scope="session")
def networks() -> Any:
    """What writes models; it imports TensorFlow."""
    from tests.compiler import networks

    return networks


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, networks: Any) -> Models:
    directory = tmp_path_factory.mktemp("compiler-models")
    masks = networks.masks(directory / "masks" / "7")
    pair = networks.two_by_two(directory / "pair" / "1")
    return Models(
        directory,
        masks,
        networks.pack(
            directory / "masks.tar.gz",
            {"export/masks/7": masks, "code/inference.py": _SCRIPT, "README": "kept"},
        ),
        pair,
        networks.pack(directory / "pair.tar.gz", {"pair/1": pair}),
    )


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("compilations"))


@pytest.fixture(scope="session")
def masks(models: Models, compiler: Compiler) -> Compiled:
    """The masks, compiled for a target that is not here, in f32."""
    return compiler(models.masks, data_input_config=SHAPE)


@pytest.fixture(scope="session")
def tensorflow(models: Models) -> Engine:
    """TensorFlow with the masks, as a container has it."""
    from windtunnel.serving.engines.tensorflow import Runtime

    return Runtime(Threads()).load(models.masks_saved)


def pictures(*shape: int, seed: int = 1) -> np.ndarray:
    values = np.random.Generator(np.random.PCG64(seed)).uniform(0, 255, shape)
    return values.astype(np.float32)
