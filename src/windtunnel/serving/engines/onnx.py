"""ONNX Runtime: models that the compiler has made for GPUs.

Without a GPU, or with a wheel that has no CUDA provider, the same graph runs on the CPU, and the
log says so: an answer that is right and slow is worth more than none, and nobody shall take the
time of a CPU for that of a GPU.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from windtunnel.serving.compiled import read_manifest
from windtunnel.serving.engines.engine import Threads, check_shapes, zeros
from windtunnel.serving.errors import LoadError, RequestError
from windtunnel.serving.signatures import read_signature
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature, Tensors

logger = logging.getLogger(__name__)

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class OnnxEngine:
    """A compiled model in this process."""

    def __init__(self, directory: Path, threads: Threads) -> None:
        """Load what the manifest in a directory names, or raise LoadError."""
        self._manifest = read_manifest(directory)
        definition = self._manifest.definition()
        self.definitions: Mapping[str, Any] = {DEFAULT_SIGNATURE: definition}
        self._signature = read_signature(DEFAULT_SIGNATURE, definition)
        self.signatures: Mapping[str, Signature] = {DEFAULT_SIGNATURE: self._signature}
        names = self._manifest.names
        self._outputs = [names[name] for name in self._signature.outputs]
        providers = [
            each for each in (_CUDA, _CPU) if each in onnxruntime.get_available_providers()
        ]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads.intra_op
        options.inter_op_num_threads = threads.inter_op
        # Threads that wait by spinning take the cores of the other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(directory / self._manifest.model), options, providers=providers
            )
        except Exception as error:
            # Its exceptions have no common class below this one.
            raise LoadError(f"ONNX Runtime cannot load {directory.name}: {error}") from error
        # A provider that the wheel has may find no GPU; then it is not among the session's.
        self.uses_gpu = _CUDA in self._session.get_providers()
        if not self.uses_gpu:
            logger.warning(
                "compiled for %s, and no GPU is used here: ONNX Runtime runs it on the CPU."
                " What is measured here says nothing about a GPU.",
                self._manifest.target,
            )

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        check_shapes(signature, inputs)
        names = self._manifest.names
        feeds = {names[name]: inputs[name] for name in signature.inputs}
        try:
            outputs = self._session.run(self._outputs, feeds)
        except Exception as error:
            raise RequestError(str(error), 400) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def warm_up(self) -> None:
        """Run the shapes it was compiled for once."""
        self.run(self._signature, zeros(self._signature, self._manifest.shapes))
