"""OpenVINO: models that the compiler has made of others, on CPUs.

The graph keeps its open dimensions. It is specialised for the shapes it was compiled for when it
loads, and for others when the first request brings them, which is said in the log: a request of
other shapes then waits some tenths of a second once, instead of failing. Where only the number of
rows goes on changing, as with batching, one more graph is made for any number of them.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from windtunnel.core import limits
from windtunnel.serving.compiled import Manifest, Streams, read_manifest
from windtunnel.serving.engines.engine import Threads, check_shapes, zeros
from windtunnel.serving.errors import LoadError, RequestError
from windtunnel.serving.openvino_library import ov
from windtunnel.serving.signatures import read_signature
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature, Tensors, render_shape

logger = logging.getLogger(__name__)

_DEVICE = "CPU"
# A dimension of any size, in OpenVINO's word.
_ANY = -1
Shapes = tuple[tuple[int, ...], ...]


class _Form:
    """The graph compiled for some shapes and streams, and what runs it."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401 - OpenVINO's
        self._compiled = compiled
        # A request holds the memory of one run; as many are made as run at once.
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        results = request.infer(feeds, share_inputs=True, share_outputs=True)
        # Copied: the next run of this request writes where these lie.
        outputs = {
            name: np.array(value)
            for output, value in results.items()
            for name in output.get_names()
        }
        self._idle.put(request)
        return outputs

    def export(self) -> bytes:
        return bytes(self._compiled.export_model().getvalue())


class _Specialised:
    """The graph for some shapes: with all threads for a lone request, with few for each of many.

    A lone request is answered soonest by all cores together; of several, each is best left to a
    core of its own. The compiler has measured whether that is so.
    """

    def __init__(self, lone: _Form, busy: _Form) -> None:
        self.lone, self._busy = lone, busy
        self._running = 0
        self._counting = threading.Lock()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        with self._counting:
            self._running += 1
            form = self.lone if self._running == 1 else self._busy
        try:
            return form.run(feeds)
        finally:
            with self._counting:
                self._running -= 1


class OpenVinoEngine:
    """A compiled model in this process."""

    def __init__(self, directory: Path, threads: Threads) -> None:
        """Load what the manifest in a directory names, or raise LoadError."""
        self._manifest = read_manifest(directory)
        self._directory = directory
        self._intra_op = threads.intra_op
        definition = self._manifest.definition()
        self.definitions: Mapping[str, Any] = {DEFAULT_SIGNATURE: definition}
        self._signature = read_signature(DEFAULT_SIGNATURE, definition)
        self.signatures: Mapping[str, Signature] = {DEFAULT_SIGNATURE: self._signature}
        self._core = ov.Core()
        self._specialising = threading.Lock()
        self._others: OrderedDict[Shapes, _Specialised] = OrderedDict()
        self._own = tuple(self._manifest.shapes[name] for name in self._signature.inputs)
        try:
            self._model = self._core.read_model(directory / self._manifest.model)
            self._main = self._specialise(self._own)
        except RuntimeError as error:
            raise LoadError(f"OpenVINO cannot load {directory.name}: {error}") from error

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Return the outputs for these inputs, or raise RequestError."""
        check_shapes(signature, inputs)
        names = self._manifest.names
        shapes = tuple(inputs[name].shape for name in signature.inputs)
        try:
            found = self._main if shapes == self._own else self._find(shapes)
            outputs = found.run({names[name]: inputs[name] for name in signature.inputs})
        except RuntimeError as error:
            raise RequestError(_reason(error), 400) from error
        return {name: outputs[names[name]] for name in signature.outputs}

    def warm_up(self) -> None:
        """Run the shapes it was compiled for once."""
        self.run(self._signature, zeros(self._signature, self._manifest.shapes))

    def export(self) -> bytes:
        """Return the compiled graph, for another start on the same kind of CPU."""
        return self._main.lone.export()

    def _find(self, shapes: Shapes) -> _Specialised:
        with self._specialising:
            for key in (shapes, _any_rows(shapes)):
                if key in self._others:
                    self._others.move_to_end(key)
                    return self._others[key]
            begin_s = time.monotonic()
            wanted = self._choose(shapes)
            found = self._others[wanted] = self._specialise(wanted)
            if len(self._others) > limits.SPECIALISED_SHAPES_COUNT_MAX:
                self._others.popitem(last=False)
            logger.warning(
                "compiled for %s, asked for %s: specialised in %.2f s%s",
                " ".join(map(render_shape, self._own)),
                " ".join(map(render_shape, shapes)),
                time.monotonic() - begin_s,
                "" if wanted == shapes else " for any number of rows",
            )
            return found

    def _choose(self, shapes: Shapes) -> Shapes:
        """Return what to specialise for: these shapes, or these with any number of rows."""
        specs = self._signature.inputs.values()
        are_open = all(spec.shape is None or None in spec.shape[:1] for spec in specs)
        wanted = _any_rows(shapes)
        alike = sum(_any_rows(each) == wanted for each in self._others)
        if are_open and alike >= limits.SPECIALISED_ROWS_COUNT_MAX:
            return wanted
        return shapes

    def _specialise(self, shapes: Shapes) -> _Specialised:
        manifest = self._manifest
        lone = self._form(shapes, manifest.lone)
        # A variable that says how many threads there are leaves no choice.
        is_one = manifest.busy == manifest.lone or self._intra_op
        return _Specialised(lone, lone if is_one else self._form(shapes, manifest.busy))

    def _form(self, shapes: Shapes, streams: Streams) -> _Form:
        settings = _settings(self._manifest, streams, self._intra_op)
        compiled = self._import(settings) if shapes == self._own else None
        return _Form(compiled or self._compile(shapes, settings))

    def _compile(self, shapes: Shapes, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401
        names = self._manifest.names
        model = self._model.clone()
        model.reshape(
            {
                names[name]: list(shape)
                for name, shape in zip(self._signature.inputs, shapes, strict=True)
            }
        )
        return self._core.compile_model(model, _DEVICE, settings)

    def _import(self, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 - OpenVINO's
        """Return what the compiler has kept, where this is the same kind of CPU; else None."""
        if not self._manifest.blob:
            return None
        try:
            content = (self._directory / self._manifest.blob).read_bytes()
            return self._core.import_model(content, _DEVICE, settings)
        except (OSError, RuntimeError):
            # Another CPU, or another version: it is compiled, which takes longer.
            return None


def _any_rows(shapes: Shapes) -> Shapes:
    return tuple((_ANY, *shape[1:]) for shape in shapes)


def _settings(manifest: Manifest, streams: Streams, intra_op: int) -> dict[str, Any]:
    """Return OpenVINO's properties; SAGEMAKER_TFS_INTRA_OP_PARALLELISM overrules the report."""
    return {
        "INFERENCE_PRECISION_HINT": manifest.floats,
        "NUM_STREAMS": streams.count,
        "INFERENCE_NUM_THREADS": intra_op or streams.threads * streams.count,
        # The cores of a container are its affinity's; OpenVINO would choose among the machine's.
        "ENABLE_CPU_PINNING": False,
    }


def _reason(error: RuntimeError) -> str:
    """Return what OpenVINO said, without the places in its source."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("Exception")]
    return lines[-1] if lines else str(error)
