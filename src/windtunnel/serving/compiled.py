"""What stands beside a compiled model: which engine runs it, how, and how it is called.

The compiler writes it as `windtunnel.json` where the SavedModel was; a folder with one is a version
of a model like any other.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from windtunnel.core import limits
from windtunnel.serving.errors import LoadError

MANIFEST = "windtunnel.json"
_FORMAT = 1
# The precisions that OpenVINO computes floats in on CPUs.
_FLOATS = ("f32", "bf16", "f16")


@dataclass(frozen=True, slots=True)
class Streams:
    """So many inferences at once, and the threads of each; 0 threads: all cores."""

    count: int = 1
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """A compiled model, as the compiler has found it to be fastest."""

    # Of ENGINES.
    engine: str
    # The file of the graph, beside this one.
    model: str
    # How exactly it computes: f32, bf16, int8.
    precision: str
    # The precision that floats are computed in, in OpenVINO's word: f32, bf16.
    floats: str
    # What it was compiled and measured for.
    target: str
    shapes: Mapping[str, tuple[int, ...]]
    # How a lone request is run, and how several at once are.
    lone: Streams
    busy: Streams
    # The name of each input and output in the graph.
    names: Mapping[str, str]
    # TensorFlow's SignatureDef of `serving_default` in JSON.
    signature: Mapping[str, Any]
    # Where a compiled graph was kept for the CPU that it was compiled on; "" for nowhere.
    blob: str = ""
    format: int = _FORMAT

    def write(self, directory: Path) -> None:
        """Put it beside the graph."""
        text = json.dumps(asdict(self), indent=2)
        (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")

    def definition(self) -> Any:  # noqa: ANN401 - protobuf's
        """Return the SignatureDef, or raise LoadError."""
        from google.protobuf.json_format import ParseDict, ParseError
        from tensorflow.core.protobuf import meta_graph_pb2

        try:
            return ParseDict(self.signature, meta_graph_pb2.SignatureDef())
        except ParseError as error:
            raise LoadError(f"{MANIFEST} has no signature: {error}") from error


def is_compiled(directory: Path) -> bool:
    """Say whether a version's folder holds a compiled model."""
    return (directory / MANIFEST).exists()


def describe(manifest: Manifest, intra_op: int, cores: int) -> str:
    """Say what runs a compiled model, and what became of TensorFlow's variables."""
    names = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
    engine = names.get(manifest.engine, manifest.engine)
    floats = f", floats in {manifest.floats}" if manifest.precision != manifest.floats else ""
    lone, busy = manifest.lone, manifest.busy
    threads = f"{intra_op or lone.count * lone.threads or cores} inference threads"
    if intra_op:
        # The engine then has no choice.
        threads += " (SAGEMAKER_TFS_INTRA_OP_PARALLELISM)"
    elif busy.count > 1:
        threads += f"; several requests: {busy.count} at once, {busy.threads} threads each"
    return f"compiled for {manifest.target}: {engine}, {manifest.precision}{floats}; {threads}"


def read_manifest(directory: Path) -> Manifest:
    """Return what a compiled model is, or raise LoadError."""
    path = directory / MANIFEST
    try:
        if path.stat().st_size > limits.MANIFEST_BYTES_MAX:
            raise LoadError(f"{path.name} is larger than {limits.MANIFEST_BYTES_MAX} bytes.")
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.get("format") != _FORMAT:
            raise LoadError(
                f"{path.name} has format {found.get('format')}, and this Windtunnel reads"
                f" {_FORMAT}: compile the model with this version."
            )
        found["shapes"] = {name: tuple(shape) for name, shape in found["shapes"].items()}
        for name in ("lone", "busy"):
            found[name] = Streams(**found[name])
        manifest = Manifest(**found)
        _check(manifest)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise LoadError(f"{path.name} is not a compiled model's: {error}") from error
    return manifest


def _check(manifest: Manifest) -> None:
    """Raise ValueError, or what Python raises, for what the compiler never writes."""
    for name in (manifest.model, *filter(None, [manifest.blob])):
        if not name or Path(name).name != name or name == "..":
            raise ValueError(f"{name} is no name of a file in its folder")
    if manifest.floats not in _FLOATS:
        raise ValueError(f"floats is {manifest.floats}")
    numbers = list(chain(*manifest.shapes.values()))
    for streams in (manifest.lone, manifest.busy):
        numbers += [streams.count - 1, streams.threads]
    if not all(isinstance(each, int) and each >= 0 for each in numbers):
        raise ValueError("streams, threads and shapes are whole numbers")
    inputs = manifest.signature.get("inputs", {}).keys()
    outputs = manifest.signature.get("outputs", {}).keys()
    if manifest.shapes.keys() != inputs or manifest.names.keys() != inputs | outputs:
        raise ValueError("shapes and names are not those of the signature")
    if not all(isinstance(each, str) for each in manifest.names.values()):
        raise ValueError("names are not text")
