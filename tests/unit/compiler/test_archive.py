"""Archives that jobs bring, good and bad, and those that they give back."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from windtunnel.compiler import archive
from windtunnel.compiler.errors import CompileError
from windtunnel.core import limits


def tarred(path: Path, *members: tuple[str, bytes | str], mode: str = "w:gz") -> Path:
    """Write members: bytes are a file's content, text is where a link leads."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def unpacked(directory: Path, *members: tuple[str, bytes | str]) -> Path:
    into = directory / "in"
    into.mkdir()
    archive.unpack(tarred(directory / "a.tar.gz", *members), into)
    return into


def content_of(directory: Path) -> Mapping[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_files_folders_and_links_are_unpacked(tmp_path: Path) -> None:
    """Training jobs link a version to the best of their checkpoints."""
    found = unpacked(
        tmp_path, ("m/latest", "1"), ("m/1/saved_model.pb", b"x"), ("./code/inference.py", b"y")
    )

    assert (found / "m" / "latest" / "saved_model.pb").read_bytes() == b"x"
    assert (found / "code" / "inference.py").read_bytes() == b"y"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("../out", b"x")], "../out leads out of its folder"),
        ([("/tmp/out", b"x")], "/tmp/out is an absolute path"),
        ([("a", "../.."), ("b", b"x")], "the link a -> ../.. leads out of its folder"),
        ([("a", "../.."), ("a/out", b"x")], "a/out lies behind a link"),
    ],
)
def test_nothing_is_written_or_read_outside(
    tmp_path: Path, members: list[tuple[str, bytes | str]], reason: str
) -> None:
    """An archive is somebody's upload."""
    with pytest.raises(CompileError, match=reason):
        unpacked(tmp_path, *members)

    assert not (tmp_path / "out").exists()
    assert not (tmp_path.parent / "out").exists()


def test_an_archive_that_is_cut_off_or_none_is_refused(tmp_path: Path) -> None:
    """An upload was interrupted; or somebody zipped the folder."""
    whole = tarred(tmp_path / "whole.tar.gz", ("a", bytes(range(256)) * 4000)).read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "text": b"hello",
        "empty": b"",
        "zip": b"PK\x03\x04rest",
        "flipped": whole[:100] + b"\xff" * 50 + whole[150:],
    }.items():
        path = tmp_path / f"{name}.tar.gz"
        path.write_bytes(content)
        into = tmp_path / name
        into.mkdir()
        with pytest.raises(CompileError, match=f"{name}.tar.gz cannot be used: it is"):
            archive.unpack(path, into)


def test_a_device_in_an_archive_is_refused(tmp_path: Path) -> None:
    """To open a pipe is to wait for ever."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("pipe")
        member.type = tarfile.FIFOTYPE
        tar.addfile(member)

    with pytest.raises(CompileError, match="pipe is neither a file nor a folder nor a link"):
        archive.unpack(path, tmp_path)


def test_an_archive_that_claims_more_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full stops every endpoint of the machine."""
    monkeypatch.setattr(limits, "COMPILE_UNPACKED_BYTES_MAX", 1000)
    with pytest.raises(CompileError, match="unpacks to more than"):
        unpacked(tmp_path, ("a", bytes(600)), ("b", bytes(600)))


@pytest.mark.parametrize(
    ("framework", "files", "model", "place"),
    [
        ("TENSORFLOW", ["export/Servo/1/saved_model.pb"], "export/Servo/1", "export/Servo/1"),
        ("TENSORFLOW", ["m/00000123/saved_model.pb"], "m/00000123", "m/00000123"),
        ("TENSORFLOW", ["saved_model.pb", "variables/v"], ".", "model/1"),
        ("TENSORFLOW", ["unet/saved_model.pb"], "unet", "unet/1"),
        ("TENSORFLOW", ["1/saved_model.pb"], "1", "1"),
        ("KERAS", ["unet.keras"], "unet.keras", "unet/1"),
        ("KERAS", ["deep/unet.h5", "deep/._unet.h5"], "deep/unet.h5", "unet/1"),
        ("ONNX", ["model.onnx", "notes.txt"], "model.onnx", "model/1"),
        ("TFLITE", ["m.tflite"], "m.tflite", "m/1"),
    ],
)
def test_the_model_is_found_and_keeps_its_name(
    tmp_path: Path, framework: str, files: list[str], model: str, place: str
) -> None:
    """Requests name a model by the folder it was in."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    found = archive.find_model(tmp_path, framework)

    assert found.model == tmp_path / model
    assert found.place == PurePosixPath(place)


@pytest.mark.parametrize(
    ("framework", "files", "reason"),
    [
        ("TENSORFLOW", ["m.keras"], "holds no TENSORFLOW model: no saved_model.pb was found"),
        ("KERAS", ["saved_model.pb"], r"holds no KERAS model: no \*.keras or \*.h5 was found"),
        (
            "TENSORFLOW",
            ["a/1/saved_model.pb", "b/1/saved_model.pb"],
            r"holds 2 TENSORFLOW models \(a/1, b/1\), and one is compiled at a time",
        ),
        (
            "TENSORFLOW",
            ["a/1/saved_model.pb", "a/2/saved_model.pb"],
            r"holds 2 TENSORFLOW versions of a model \(a/1, a/2\), and one is compiled",
        ),
        ("ONNX", ["a.onnx", "b.onnx"], r"holds 2 ONNX models \(a.onnx, b.onnx\)"),
        ("TENSORFLOW", ["m/1/windtunnel.json"], "is a compiled one"),
    ],
)
def test_an_archive_without_one_model_is_refused(
    tmp_path: Path, framework: str, files: list[str], reason: str
) -> None:
    """Neo takes one; which of two is meant nobody can guess."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    with pytest.raises(CompileError, match=f"The archive {reason}"):
        archive.find_model(tmp_path, framework)


def test_the_compiled_model_takes_the_place_of_the_other_and_nothing_else(tmp_path: Path) -> None:
    """An inference.py, and what it reads, go on to work."""
    root = unpacked(
        tmp_path,
        ("m/1/saved_model.pb", b"graph"),
        ("m/1/variables/variables.index", b"weights"),
        ("m/1/assets/words.txt", b"words"),
        ("m/1/labels.txt", b"labels"),
        ("code/inference.py", b"code"),
        ("current", "m/1"),
    )
    compiled = tmp_path / "compiled"
    compiled.mkdir()
    (compiled / "model.xml").write_text("graph")

    archive.put_in_place(archive.find_model(root, "TENSORFLOW"), compiled)
    archive.pack(root, tmp_path / "out.tar.gz")
    again = tmp_path / "again"
    again.mkdir()
    archive.unpack(tmp_path / "out.tar.gz", again)

    assert content_of(again) == {
        "m/1/labels.txt": b"labels",
        "m/1/model.xml": b"graph",
        "code/inference.py": b"code",
    }
    assert (again / "current" / "model.xml").exists()


def test_the_same_content_makes_the_same_archive(tmp_path: Path) -> None:
    """Whose digest tells whether anything has changed."""
    archives = []
    for name in ("one", "two"):
        root = tmp_path / name
        (root / "m" / "1").mkdir(parents=True)
        files = ["m/1/b", "m/1/a", "c"]
        for file in files if name == "one" else reversed(files):
            (root / file).write_text(file)
        (root / "c").chmod(0o640 if name == "one" else 0o600)
        archives.append(tmp_path / f"{name}.tar.gz")
        archive.pack(root, archives[-1])

    assert archives[0].read_bytes() == archives[1].read_bytes()


def test_an_archive_that_cannot_be_delivered_leaves_nothing(tmp_path: Path) -> None:
    """What half of a model is worth."""
    (tmp_path / "made").write_text("x")
    taken = tmp_path / "out.tar.gz"
    (taken / "not empty").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        archive.deliver(tmp_path / "made", taken)

    assert {path.name for path in tmp_path.iterdir()} == {"made", "out.tar.gz"}
    with pytest.raises(CompileError, match="cannot be written: Is a directory"):
        archive.pack(tmp_path, taken)
