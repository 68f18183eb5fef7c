"""What a job brings and what it gives back: a .tar.gz, in and out.

Whatever of an archive is not the model (code/, a README) is in the compiled archive as it was, so
that an inference.py goes on to work. The compiled archive depends on its content alone.
"""

import gzip
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from windtunnel.compiler.errors import CompileError
from windtunnel.core import limits
from windtunnel.core.archive import unpack as unpacking
from windtunnel.core.archive.contents import ArchiveLimits, UnpackError
from windtunnel.serving.compiled import MANIFEST
from windtunnel.serving.models import SAVED_MODEL

# What belongs to a SavedModel (https://www.tensorflow.org/guide/saved_model).
_SAVED_MODEL_PARTS = {
    SAVED_MODEL, "saved_model.pbtxt", "variables", "assets", "assets.extra", "fingerprint.pb",
    "keras_metadata.pb",
}  # fmt: skip
_SUFFIXES = {"KERAS": (".keras", ".h5"), "TFLITE": (".tflite",), "ONNX": (".onnx",)}


@dataclass(frozen=True, slots=True)
class Brought:
    """An unpacked archive and the one model in it."""

    directory: Path
    # The folder of a SavedModel, or the model's file.
    model: Path
    # Where the compiled model goes, below the archive's root: NAME/VERSION.
    place: PurePosixPath


def unpack(archive: Path, directory: Path) -> None:
    """Unpack a job's archive, or raise CompileError."""
    bounds = ArchiveLimits(unpacked_bytes_max=limits.COMPILE_UNPACKED_BYTES_MAX)
    try:
        with archive.open("rb") as file:
            unpacking.check_kind(file.peek())
            unpacking.unpack(file, directory, bounds)
    except UnpackError as error:
        raise CompileError(f"The archive {archive.name} cannot be used: {error.reason}.") from error
    except OSError as error:
        raise CompileError(f"The archive {archive.name} cannot be unpacked: {error}.") from error


def find_model(directory: Path, framework: str) -> Brought:
    """Return the one model of an unpacked archive, or raise CompileError."""
    if framework == "TENSORFLOW":
        found = sorted(path.parent for path in directory.rglob(SAVED_MODEL))
        what = SAVED_MODEL
    else:
        suffixes = _SUFFIXES[framework]
        found = sorted(
            path
            for path in directory.rglob("*")
            # macOS's tar puts a `._name` beside a file for what is known of it there.
            if path.suffix in suffixes and path.is_file() and not path.name.startswith(".")
        )
        what = " or ".join(f"*{suffix}" for suffix in suffixes)
    if not found:
        if any(directory.rglob(MANIFEST)):
            raise CompileError("The archive is a compiled one: compile the model it was made of.")
        raise CompileError(f"The archive holds no {framework} model: no {what} was found.")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(directory)) for path in found)
        things = "models"
        if framework == "TENSORFLOW" and len({path.parent for path in found}) == 1:
            things = "versions of a model"
        raise CompileError(
            f"The archive holds {len(found)} {framework} {things} ({names}), and one is compiled"
            " at a time: make an archive of each."
        )
    return Brought(directory, found[0], _place(found[0].relative_to(directory), framework))


def _place(model: Path, framework: str) -> PurePosixPath:
    folder = PurePosixPath(model.as_posix())
    if framework != "TENSORFLOW":
        return PurePosixPath(folder.stem) / "1"
    if folder.name.isdigit() and folder.name.isascii():
        return folder
    # TensorFlow Serving wants a version; Neo takes a SavedModel at the archive's root, too.
    return PurePosixPath(folder.name or "model") / "1"


def put_in_place(brought: Brought, compiled: Path) -> None:
    """Take the model out of an unpacked archive, and put the compiled one in its place."""
    if brought.model.is_dir():
        for name in _SAVED_MODEL_PARTS:
            part = brought.model / name
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)
    else:
        brought.model.unlink()
    place = brought.directory / brought.place
    place.mkdir(parents=True, exist_ok=True)
    for path in compiled.iterdir():
        shutil.copyfile(path, place / path.name)


def pack(directory: Path, archive: Path) -> None:
    """Write a folder's files as a .tar.gz."""
    try:
        with (
            archive.open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as zipped,
            tarfile.open(mode="w", fileobj=zipped, format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sorted(directory.rglob("*")):
                # Links as links, also those to folders.
                if path.is_symlink() or path.is_file():
                    tar.add(path, path.relative_to(directory).as_posix(), filter=_nameless)
    except OSError as error:
        raise CompileError(f"The compiled archive cannot be written: {error.strerror}.") from error


def deliver(archive: Path, output: Path) -> None:
    """Put an archive where a job wants it, whole or not at all."""
    partial = output.with_name(f".{output.name}.partial")
    try:
        shutil.copyfile(archive, partial)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
