"""Which models a directory holds.

The original's rule (find_models in tfs_utils.py): wherever a `saved_model.pb` lies in a folder
whose name is a number, that number is a version, and the folder above it a model of its own name.
A compiled model has a manifest in that place (`compiled.py`).
Rules: the choice is a pure function of the listed paths; no file is opened here.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from windtunnel.core import limits
from windtunnel.serving.compiled import MANIFEST
from windtunnel.serving.errors import ArchiveError

SAVED_MODEL = "saved_model.pb"
# Where the archive itself begins with a version: the folder above is /opt/ml/model in the original.
_ROOT_NAME = "model"


@dataclass(frozen=True, slots=True)
class Model:
    """One model and where each of its versions lies, below the model directory."""

    name: str
    versions: Mapping[int, PurePosixPath]

    @property
    def latest(self) -> int:
        """The version that serves requests that name none."""
        return max(self.versions)


@dataclass(frozen=True, slots=True)
class Models:
    """All models of a directory, by name, and the one that requests without a name are for."""

    by_name: Mapping[str, Model]
    default: str
    # By which the default one is known, too: where it is one of many, the name that it was given.
    other_name: str | None = None


def choose_models(paths: Iterable[PurePosixPath], default_model: str | None) -> Models:
    """Return the models among these files; raise ArchiveError where they cannot be served."""
    found = sorted(set(paths))
    versions: dict[PurePosixPath, dict[int, PurePosixPath]] = {}
    for path in found:
        if path.name in {SAVED_MODEL, MANIFEST} and _is_version(path.parent.name):
            model_path = path.parent.parent
            versions.setdefault(model_path, {})[int(path.parent.name)] = path.parent
    by_name: dict[str, Model] = {}
    origins: dict[str, PurePosixPath] = {}
    for model_path, folders in versions.items():
        name = model_path.name or _ROOT_NAME
        if name in by_name:
            raise ArchiveError(
                f"Two models are named {name}: {origins[name]} and {model_path}. Rename one."
            )
        by_name[name] = Model(name, folders)
        origins[name] = model_path
    if not by_name:
        raise ArchiveError(
            f"No SavedModel was found: a model is a folder NAME/VERSION/{SAVED_MODEL},"
            " where VERSION is a number."
        )
    if default_model is not None and default_model not in by_name:
        raise ArchiveError(
            f"SAGEMAKER_TFS_DEFAULT_MODEL_NAME={default_model}: the archive has only"
            f" {', '.join(by_name)}."
        )
    return Models(by_name, default_model or next(iter(by_name)))


def _is_version(name: str) -> bool:
    # TensorFlow Serving keeps versions in 64 bits.
    return name.isascii() and name.isdigit() and int(name) < 2**63


def list_files(directory: Path) -> list[PurePosixPath]:
    """Return the files below a directory, links followed, as paths relative to it."""
    if not directory.is_dir():
        raise ArchiveError(f"The model directory {directory} does not exist.")
    return list(_walk(directory, PurePosixPath(), frozenset()))


def _walk(
    directory: Path, relative: PurePosixPath, above: frozenset[str]
) -> Iterator[PurePosixPath]:
    real = os.path.realpath(directory)
    # A link to a folder that contains it would be walked for ever.
    if real in above or len(relative.parts) > limits.MODEL_DIRECTORY_DEPTH_MAX:
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(Path(entry.path), relative / entry.name, above | {real})
            else:
                yield relative / entry.name
