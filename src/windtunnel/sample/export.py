"""Write a SavedModel as the archive that SageMaker hosts, the same bytes for the same model.

The archive must not tell when, where or by whom it was made: its digest names the model. So times
and owners are fixed, members sorted, and the fingerprint file is left out, which TensorFlow
writes with a fresh random number each time and does without when it loads.
"""

import gzip
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

_FINGERPRINT_FILE = "fingerprint.pb"


def write_archive(
    function: "Callable[[tf.Tensor], tf.Tensor]",
    *,
    variables: "Sequence[tf.Variable]",
    source: "tf.TensorSpec",
    target: str,
    archive: Path,
    directory: str,
) -> None:
    """Save `function` as a SavedModel and pack it under `directory`.

    `source.name` and `target` become the names of the one input and the one output of its
    `serving_default` signature; the function may use no other variables than those given.
    """
    import tensorflow as tf

    def serve(**inputs: "tf.Tensor") -> "dict[str, tf.Tensor]":
        return {target: function(inputs[source.name])}

    signature = tf.function(serve).get_concrete_function(**{source.name: source})
    module = tf.Module()
    module.parameters = list(variables)
    with tempfile.TemporaryDirectory(dir=archive.parent) as saved:
        tf.saved_model.save(module, saved, signatures={"serving_default": signature})
        (Path(saved) / _FINGERPRINT_FILE).unlink(missing_ok=True)
        files = {
            f"{directory}/{path.relative_to(saved).as_posix()}": path
            for path in Path(saved).rglob("*")
            if path.is_file()
        }
        pack(files, archive)


def pack(files: Mapping[str, Path], archive: Path) -> None:
    """Write a .tar.gz of `files` (name inside: file) that depends on their content alone."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as compressed,
        tarfile.open(mode="w", fileobj=compressed, format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in _directories(files):
            tar.addfile(_member(name, tarfile.DIRTYPE, 0o755))
        for name, path in sorted(files.items()):
            member = _member(name, tarfile.REGTYPE, 0o644)
            member.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(member, content)


def _directories(names: Mapping[str, Path]) -> list[str]:
    parents = {str(parent) for name in names for parent in Path(name).parents}
    return sorted(parents - {"."})


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = mode
    return member
