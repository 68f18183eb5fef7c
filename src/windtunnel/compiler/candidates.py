"""The forms of a model that are tried: graphs and precisions, each in a folder as it is served.

f32    the converted graph
bf16   the same graph, with its convolutions and matrix products in bf16
int8   a graph that NNCF has quantised by the calibration data: "int8" with all that can be in
       8 bits, "int8 mixed" with activations that need it asymmetric and deconvolutions in
       floats. Where neither keeps the tolerance, NNCF gives operations back to floats until
       one does ("int8 controlled")
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.shapes import Shapes
from windtunnel.compiler.sources import Graph, Source
from windtunnel.compiler.targets import Target
from windtunnel.compiler.verify import Measure
from windtunnel.serving.compiled import Manifest, Streams
from windtunnel.serving.engines.engine import Engine, Threads, zeros
from windtunnel.serving.errors import LoadError, ServingError
from windtunnel.serving.openvino_library import ov
from windtunnel.serving.tensors import Tensors

logger = logging.getLogger(__name__)

_CONVERSIONS_MAX = 5
_OPENVINO_FILE, _ONNX_FILE = "model.xml", "model.onnx"


class QuantiseError(CompileError):
    """A form in int8 that cannot be made; others may be."""


@dataclass(slots=True)
class Candidate:
    """One form of the model, loaded."""

    name: str
    directory: Path
    manifest: Manifest
    engine: Engine
    # Where its answers stand against the baseline's.
    score: float = float("nan")


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What candidates are made of."""

    source: Source
    shapes: Shapes
    target: Target
    # Where each gets a folder.
    work: Path
    precisions: Sequence[str]
    # Empty: nothing is quantised.
    calibration: Sequence[Tensors]
    can_bf16: bool


def openvino_candidates(
    made_of: Ingredients, graph: Graph, tell: Callable[[str], None]
) -> Iterator[Candidate]:
    """Make the candidates for a CPU, one after the other."""
    if "f32" in made_of.precisions:
        yield write_candidate("f32", made_of, graph, precision="f32", floats="f32")
    if "bf16" in made_of.precisions and made_of.can_bf16:
        yield write_candidate("bf16", made_of, graph, precision="bf16", floats="bf16")
    if "int8" in made_of.precisions and made_of.calibration:
        floats = "bf16" if made_of.can_bf16 else "f32"
        for name, preset in (("int8", "PERFORMANCE"), ("int8 mixed", "MIXED")):
            tell(f"quantising: {name}")
            quantised = _quantise(made_of, graph, preset)
            yield write_candidate(name, made_of, quantised, precision="int8", floats=floats)


def controlled_candidate(
    made_of: Ingredients, graph: Graph, expected: Sequence[Tensors], measure: Measure
) -> Candidate:
    """Make the int8 candidate that keeps the tolerance, by giving operations back to floats."""
    import nncf

    names = graph.names
    feeds = _feeds(made_of.calibration[: len(expected)], names)

    def validate(compiled: Any, dataset: Any) -> tuple[float, None]:  # noqa: ANN401 - OpenVINO's
        del dataset
        answers = []
        for feed in feeds:
            results = compiled(feed)
            answers.append(
                {name: results[names[name]] for name in made_of.source.signature.outputs}
            )
        return measure.score(expected, answers), None

    # A metric of one's own may end elsewhere than at 1.
    perfect = measure.score(expected, expected)
    with _quiet_nncf():
        try:
            model = nncf.quantize_with_accuracy_control(
                graph.model.clone(),
                calibration_dataset=nncf.Dataset(_feeds(made_of.calibration, names)),
                validation_dataset=nncf.Dataset(feeds),
                validation_fn=validate,
                max_drop=perfect - measure.tolerance.get("int8", 1.0),
                drop_type=nncf.DropType.ABSOLUTE,
                subset_size=len(made_of.calibration),
            )
        except Exception as error:
            # NNCF raises what its layers raise.
            raise QuantiseError(" ".join(str(error).split())) from error
    return write_candidate(
        "int8 controlled",
        made_of,
        Graph(model, names),
        precision="int8",
        floats="bf16" if made_of.can_bf16 else "f32",
    )


def onnx_candidate(made_of: Ingredients) -> Candidate:
    """Make the one candidate for a GPU.

    tf2onnx's optimiser goes over sets of nodes in the order of their places in memory, and one time
    in twenty it loses a Squeeze before an output, which then has a dimension too many: such a
    conversion is done again. Where none is better, the answers will tell.
    """
    directory = made_of.work / "onnx"
    directory.mkdir()
    candidate = _onnx_candidate(made_of, directory)
    for _ in range(_CONVERSIONS_MAX - 1):
        if _answers_in_shape(candidate.engine, made_of):
            break
        logger.info("the ONNX graph answers in other shapes than the model's: converting once more")
        candidate = _onnx_candidate(made_of, directory)
    return candidate


def _onnx_candidate(made_of: Ingredients, directory: Path) -> Candidate:
    from windtunnel.serving.engines.onnx import OnnxEngine

    names = made_of.source.to_onnx(directory / _ONNX_FILE)
    manifest = _manifest(made_of, names, "onnxruntime", _ONNX_FILE, precision="f32", floats="f32")
    manifest.write(directory)
    try:
        engine = OnnxEngine(directory, Threads())
    except LoadError as error:
        # It has no kernel for an operation, say.
        raise CompileError(" ".join(str(error).split())) from error
    return Candidate("onnx f32", directory, manifest, engine)


def _answers_in_shape(engine: Engine, made_of: Ingredients) -> bool:
    """Say whether a form's answers have the shapes that the model says that its own have."""
    signature = made_of.source.signature
    try:
        answers = engine.run(signature, zeros(signature, made_of.shapes))
    except ServingError:
        # Zeros may be nothing that the model takes.
        return True
    return all(spec.fits(answers[name].shape) for name, spec in signature.outputs.items())


def write_candidate(
    name: str, made_of: Ingredients, graph: Graph, *, precision: str, floats: str
) -> Candidate:
    """Write a graph into a folder of its own, and load it from there as a container would."""
    from windtunnel.serving.engines.openvino import OpenVinoEngine

    directory = made_of.work / name.replace(" ", "-")
    directory.mkdir()
    ov.save_model(graph.model, str(directory / _OPENVINO_FILE), compress_to_fp16=False)
    manifest = _manifest(
        made_of, graph.names, "openvino", _OPENVINO_FILE, precision=precision, floats=floats
    )
    manifest.write(directory)
    return Candidate(name, directory, manifest, OpenVinoEngine(directory, Threads()))


def _manifest(
    made_of: Ingredients,
    names: Mapping[str, str],
    engine: str,
    file: str,
    *,
    precision: str,
    floats: str,
) -> Manifest:
    from google.protobuf.json_format import MessageToJson

    return Manifest(
        engine=engine,
        model=file,
        precision=precision,
        floats=floats,
        target=made_of.target.name,
        shapes=made_of.shapes,
        lone=Streams(),
        busy=Streams(),
        names=names,
        signature=json.loads(MessageToJson(made_of.source.definition)),
    )


def _quantise(made_of: Ingredients, graph: Graph, preset: str) -> Graph:
    import nncf

    with _quiet_nncf():
        try:
            model = nncf.quantize(
                graph.model.clone(),
                nncf.Dataset(_feeds(made_of.calibration, graph.names)),
                preset=nncf.QuantizationPreset[preset],
                subset_size=len(made_of.calibration),
            )
        except Exception as error:
            # NNCF raises what its layers raise.
            raise QuantiseError(" ".join(str(error).split())) from error
    return Graph(model, graph.names)


def _feeds(samples: Sequence[Tensors], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{names[name]: value for name, value in sample.items()} for sample in samples]


class _quiet_nncf:  # noqa: N801 - used like a function
    """Keep NNCF's story out of the log; what it warns of stays."""

    def __enter__(self) -> None:
        logging.getLogger("nncf").setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("nncf").setLevel(logging.INFO)
