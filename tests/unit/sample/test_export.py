"""Archives whose digest names their content."""

import os
import tarfile
from pathlib import Path

from tests.archives import unpack

from windtunnel.sample import export


def files_in(directory: Path, *, mtime_s: float, mode: int) -> dict[str, Path]:
    """Write two small files; return them in an order that is not the archive's."""
    directory.mkdir()
    names = {"a/1/variables/v.index": "weights", "a/1/saved_model.pb": "graph"}
    files = {name: directory / name.replace("/", "-") for name in names}
    for name, path in files.items():
        path.write_text(names[name])
        path.chmod(mode)
        os.utime(path, (mtime_s, mtime_s))
    return files


def test_an_archive_depends_on_its_content_alone(tmp_path: Path) -> None:
    """A cache, or a colleague, tells by the digest whether it is the same model."""
    one = files_in(tmp_path / "one", mtime_s=1.0, mode=0o600)
    other = files_in(tmp_path / "other", mtime_s=2e9, mode=0o664)
    export.pack(one, tmp_path / "one.tar.gz")
    export.pack(dict(reversed(other.items())), tmp_path / "other.tar.gz")

    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "other.tar.gz").read_bytes()


def test_an_archive_holds_its_files_and_their_directories(tmp_path: Path) -> None:
    """SageMaker unpacks it into /opt/ml/model and looks for NAME/VERSION/saved_model.pb."""
    files = files_in(tmp_path / "files", mtime_s=1.0, mode=0o600)
    export.pack(files, tmp_path / "model.tar.gz")

    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert tar.getnames() == [
            "a",
            "a/1",
            "a/1/variables",
            "a/1/saved_model.pb",
            "a/1/variables/v.index",
        ]
        assert {member.uid for member in tar} == {0}
    unpack(tmp_path / "model.tar.gz", tmp_path / "unpacked")
    assert (tmp_path / "unpacked/a/1/saved_model.pb").read_text() == "graph"
