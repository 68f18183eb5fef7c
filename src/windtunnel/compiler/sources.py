"""What was brought, by format: how it is called, what runs it as it is, and what it converts to.

The baseline is what would serve the model if nothing were compiled: TensorFlow for a SavedModel and
for what Keras saved, ONNX Runtime for ONNX. A TFLite model's baseline is TensorFlow's interpreter
for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from windtunnel.compiler.errors import CompileError
from windtunnel.serving.engines.engine import Engine, Threads
from windtunnel.serving.errors import ServingError
from windtunnel.serving.openvino_library import convert
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature

# Opset 18 is the newest that tf2onnx's pages list (https://github.com/onnx/tensorflow-onnx).
_OPSET = 18


@dataclass(frozen=True, slots=True)
class Graph:
    """A converted model, and what its tensors are called in it."""

    model: Any
    names: Mapping[str, str]


class Source(Protocol):
    """A model in the format it came in."""

    # What runs it, for people.
    title: str
    baseline: Engine
    # TensorFlow's SignatureDef of the one signature that is compiled.
    definition: Any
    signature: Signature
    notices: tuple[str, ...]

    def to_openvino(self) -> Graph:
        """Return it as OpenVINO's model, open dimensions kept."""
        ...

    def to_onnx(self, path: Path) -> Mapping[str, str]:
        """Write it as ONNX; return what its tensors are called there."""
        ...


def open_source(path: Path, framework: str, work: Path, *, safe_mode: bool) -> Source:
    """Return the model that a file or folder holds, or raise CompileError."""
    if framework == "TENSORFLOW":
        return SavedModel(path)
    if framework == "KERAS":
        return SavedModel(_export_keras(path, work / "keras", safe_mode=safe_mode))
    from windtunnel.compiler.other_sources import OnnxModel, TfliteModel

    return OnnxModel(path) if framework == "ONNX" else TfliteModel(path)


class SavedModel:
    """A SavedModel, with TensorFlow as its baseline."""

    title = "TensorFlow"

    def __init__(self, directory: Path) -> None:
        from windtunnel.serving.engines.tensorflow import Runtime

        self._directory = directory
        try:
            engine = Runtime(Threads()).load(directory)
        except ServingError as error:
            raise CompileError(str(error)) from error
        # As a container does, which finds out what threads are of use to a small graph.
        engine.warm_up()
        self.baseline: Engine = engine
        if DEFAULT_SIGNATURE not in engine.signatures:
            raise CompileError(
                f"The SavedModel has no signature {DEFAULT_SIGNATURE}; it has"
                f" {', '.join(engine.signatures)}."
            )
        self.signature = engine.signatures[DEFAULT_SIGNATURE]
        self.definition = engine.definitions[DEFAULT_SIGNATURE]
        others = sorted(engine.signatures.keys() - {DEFAULT_SIGNATURE})
        self.notices: tuple[str, ...] = ()
        if others:
            told = f"the model also has {', '.join(others)}, which the compiled archive does not"
            self.notices = (f"only {DEFAULT_SIGNATURE} is compiled; {told}",)

    def to_openvino(self) -> Graph:
        """Return it as OpenVINO's model, open dimensions kept."""
        try:
            model = convert(self._directory)
        except Exception as error:
            # Its exceptions have no common class; the text is what tells.
            raise CompileError(unsupported("OpenVINO", str(error))) from error
        return Graph(model, _names(model, self.signature))

    def to_onnx(self, path: Path) -> Mapping[str, str]:
        """Write it as ONNX; return what its tensors are called there."""
        import tensorflow as tf
        import tf2onnx
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        try:
            # The variables of a function live as long as the object it was loaded with.
            loaded = tf.saved_model.load(str(self._directory))
            function = loaded.signatures[DEFAULT_SIGNATURE]
            frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
            feeds = [each for each in frozen.inputs if each.dtype != tf.resource]
            # Both lists are in the order of the names, as TensorFlow sorts a structure's keys.
            inputs, outputs = [each.name for each in feeds], [each.name for each in frozen.outputs]
            model, _ = tf2onnx.convert.from_graph_def(
                frozen.graph.as_graph_def(),
                input_names=inputs,
                output_names=outputs,
                opset=_OPSET,
            )
        except Exception as error:
            raise CompileError(unsupported("tf2onnx", str(error))) from error
        path.write_bytes(model.SerializeToString())
        wanted = {each.name.partition(":")[0]: each.name for each in feeds}
        names = {name: wanted.get(name, name) for name in self.signature.inputs}
        if not set(names.values()) <= set(inputs):
            names = dict(zip(sorted(self.signature.inputs), inputs, strict=True))
        return {**names, **dict(zip(sorted(function.structured_outputs), outputs, strict=True))}


def _names(model: Any, signature: Signature) -> dict[str, str]:  # noqa: ANN401 - OpenVINO's
    """Return the graph's name of each tensor of a signature; it keeps the signature's own."""
    names = {}
    for wanted, found in ((signature.inputs, model.inputs), (signature.outputs, model.outputs)):
        known = [port.get_names() for port in found]
        for name in wanted:
            if any(name in each for each in known):
                names[name] = name
            elif len(wanted) == len(found) == 1:
                names[name] = found[0].get_any_name()
            else:
                raise CompileError(f"OpenVINO's graph has no tensor {name}, which the model has.")
    return names


def _export_keras(path: Path, directory: Path, *, safe_mode: bool) -> Path:
    """Write a Keras file as a SavedModel with one signature."""
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=safe_mode)
        model.export(str(directory), verbose=False)
    except Exception as error:
        # Keras raises what its layers raise.
        text = " ".join(str(error).split())
        if "Lambda" in text and "safe" in text.lower():
            raise CompileError(
                f"{path.name} has a Lambda layer, which is code that would be run: allow it with"
                ' the option {"safe_mode": false} if you trust the file.'
            ) from error
        raise CompileError(f"Keras cannot load {path.name}: {text}") from error
    return directory


def unsupported(converter: str, text: str) -> str:
    """Return why a converter gave up: the operations that it does not know, or all that it said."""
    listed = re.findall(r"No conversion rule found for operations: (.+)", text)
    named = re.findall(r"Tensorflow op \[[^:\]]*: (\w+)\] is not supported", text)
    operations = {each.strip() for line in listed for each in line.split(",")} | {*named}
    if operations:
        return f"{converter} cannot convert these operations: {', '.join(sorted(operations))}."
    return f"{converter} cannot convert the model: {' '.join(text.split())}"
