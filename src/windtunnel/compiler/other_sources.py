"""ONNX and TFLite: models that have no SignatureDef, so that one is made of their tensors."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.sources import Graph, unsupported
from windtunnel.core import processor
from windtunnel.serving.engines.engine import Engine, check_shapes
from windtunnel.serving.errors import RequestError
from windtunnel.serving.openvino_library import convert
from windtunnel.serving.signatures import read_signature
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature, Tensors

_PREDICT = "tensorflow/serving/predict"


def make_definition(model: Any) -> Any:  # noqa: ANN401 - OpenVINO's, and protobuf's
    """Return the SignatureDef of a graph's inputs and outputs."""
    definition = meta_graph_pb2.SignatureDef(method_name=_PREDICT)
    for port, infos in (
        *((port, definition.inputs) for port in model.inputs),
        *((port, definition.outputs) for port in model.outputs),
    ):
        name = port.get_any_name()
        info = infos[name]
        info.name = name
        info.dtype = _type_number(port.get_element_type())
        for size in port.get_partial_shape():
            info.tensor_shape.dim.add(size=size.get_length() if size.is_static else -1)
    return definition


def _type_number(found: Any) -> int:  # noqa: ANN401 - OpenVINO's
    names = {"f32": "FLOAT", "f64": "DOUBLE", "f16": "HALF", "boolean": "BOOL", "u8": "UINT8"}
    name = found.get_type_name()
    wanted = names.get(name) or name.replace("i", "INT").replace("u", "UINT")
    try:
        number: int = types_pb2.DataType.Value(f"DT_{wanted}")
    except ValueError as error:
        raise CompileError(
            f"The model has a tensor of type {name}, which is not served."
        ) from error
    return number


def _read(path: Path) -> Any:  # noqa: ANN401 - OpenVINO's
    try:
        return convert(path)
    except Exception as error:
        # Its exceptions have no common class; the text is what tells.
        raise CompileError(unsupported("OpenVINO", str(error))) from error


class OnnxModel:
    """An ONNX file, with ONNX Runtime on the CPU as its baseline."""

    title = "ONNX Runtime"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model = _read(path)
        self.definition = make_definition(self._model)
        self.signature = read_signature(DEFAULT_SIGNATURE, self.definition)
        self.baseline: Engine = _OnnxBaseline(path, self.definition, self.signature)
        self.notices: tuple[str, ...] = ()

    def to_openvino(self) -> Graph:
        """Return it as OpenVINO's model, open dimensions kept."""
        return Graph(self._model, {name: name for name in _all_names(self.signature)})

    def to_onnx(self, path: Path) -> Mapping[str, str]:
        """Write it with all its weights, which may lie in files of their own."""
        import onnx

        try:
            onnx.save_model(onnx.load(self._path), path)
        except Exception as error:
            # Protobuf's for what has more than 2 GB, and others.
            raise CompileError(
                f"{self._path.name} cannot be written as one file: {error}"
            ) from error
        return {name: name for name in _all_names(self.signature)}


class TfliteModel:
    """A TFLite file, with TensorFlow's interpreter as its baseline."""

    title = "TensorFlow Lite"

    def __init__(self, path: Path) -> None:
        self._model = _read(path)
        self.definition = make_definition(self._model)
        self.signature = read_signature(DEFAULT_SIGNATURE, self.definition)
        self.baseline: Engine = _TfliteBaseline(path, self.definition, self.signature)
        self.notices: tuple[str, ...] = ()

    def to_openvino(self) -> Graph:
        """Return it as OpenVINO's model, open dimensions kept."""
        return Graph(self._model, {name: name for name in _all_names(self.signature)})

    def to_onnx(self, path: Path) -> Mapping[str, str]:
        """Write it as ONNX; return what its tensors are called there."""
        del path
        raise CompileError("A TFLITE model is compiled for CPUs: compile the model it came from.")


def _all_names(signature: Signature) -> list[str]:
    return [*signature.inputs, *signature.outputs]


class _OnnxBaseline:
    """An ONNX file as ONNX Runtime runs it on the CPU."""

    def __init__(self, path: Path, definition: Any, signature: Signature) -> None:  # noqa: ANN401
        import onnxruntime

        self.definitions: Mapping[str, Any] = {DEFAULT_SIGNATURE: definition}
        self.signatures: Mapping[str, Signature] = {DEFAULT_SIGNATURE: signature}
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # Its exceptions have no common class below this one.
            raise CompileError(f"ONNX Runtime cannot load {path.name}: {error}") from error

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        check_shapes(signature, inputs)
        try:
            outputs = self._session.run([*signature.outputs], dict(inputs))
        except Exception as error:
            raise RequestError(str(error)) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def warm_up(self) -> None:
        """Do nothing: it is run before it is timed."""


class _TfliteBaseline:
    """A TFLite file as TensorFlow's interpreter runs it."""

    def __init__(self, path: Path, definition: Any, signature: Signature) -> None:  # noqa: ANN401
        import tensorflow as tf

        self.definitions: Mapping[str, Any] = {DEFAULT_SIGNATURE: definition}
        self.signatures: Mapping[str, Signature] = {DEFAULT_SIGNATURE: signature}
        # Left to itself it takes one thread, which is not the best that it can do.
        self._interpreter = tf.lite.Interpreter(
            model_path=str(path), num_threads=processor.core_count()
        )
        self._interpreter.allocate_tensors()
        # An interpreter has one memory for all its tensors.
        self._running = threading.Lock()

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs; one caller after the other."""
        with self._running:
            return self._run(signature, inputs)

    def _run(self, signature: Signature, inputs: Tensors) -> Tensors:
        found = self._interpreter
        for detail in found.get_input_details():
            value = inputs[_key(detail["name"], signature.inputs)]
            if tuple(detail["shape"]) != value.shape:
                found.resize_tensor_input(detail["index"], value.shape)
                found.allocate_tensors()
            found.set_tensor(detail["index"], value)
        found.invoke()
        return {
            _key(detail["name"], signature.outputs): np.array(found.get_tensor(detail["index"]))
            for detail in found.get_output_details()
        }

    def warm_up(self) -> None:
        """Do nothing: it is run before it is timed."""


def _key(name: str, known: Mapping[str, object]) -> str:
    return name if name in known else next(iter(known))
