"""Which engine runs a compiled model: the one that its manifest names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from windtunnel.serving.compiled import read_manifest
from windtunnel.serving.engines.engine import Engine, Threads
from windtunnel.serving.errors import LoadError


def load_compiled(directory: Path, threads: Threads) -> Engine:
    """Return a compiled model, or raise LoadError."""
    engine = read_manifest(directory).engine
    if engine not in _LOADERS:
        raise LoadError(f"The model was compiled for an engine that is not here: {engine}.")
    try:
        return _LOADERS[engine](directory, threads)
    except ImportError as error:
        raise LoadError(
            f"The model was compiled for {engine}, which is not installed ({error}):"
            " pip install 'windtunnel[local]'."
        ) from error


def _load_openvino(directory: Path, threads: Threads) -> Engine:
    from windtunnel.serving.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(directory, threads)


def _load_onnx(directory: Path, threads: Threads) -> Engine:
    from windtunnel.serving.engines.onnx import OnnxEngine

    return OnnxEngine(directory, threads)


_LOADERS: Mapping[str, Callable[[Path, Threads], Engine]] = {
    "openvino": _load_openvino,
    "onnxruntime": _load_onnx,
}
