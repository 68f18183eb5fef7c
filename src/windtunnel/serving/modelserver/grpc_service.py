"""TensorFlow Serving's gRPC API: a serialised request in, a serialised answer out.

PredictionService and ModelService by their rules and words (prediction_service_impl.cc,
predict_util.cc, multi_inference.cc, get_model_metadata_impl.cc, get_model_status_impl.cc). Who
calls these functions (`grpc_server.py`) turns a RequestError into a status; each call has a thread
of its own, like REST's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from windtunnel.serving.codecs.examples import ExamplesRequest
from windtunnel.serving.codecs.predict_proto import join_response, split_request
from windtunnel.serving.codecs.tensor_proto import TensorError, decode_tensor
from windtunnel.serving.codecs.wire import WireError
from windtunnel.serving.errors import Code, RequestError
from windtunnel.serving.modelserver import scoring
from windtunnel.serving.modelserver.routes import Target
from windtunnel.serving.modelserver.served import Servable, ServedModels
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature, Tensors, name_type

# protobuf ships no types.
Message = Any

# The one kind of metadata that there is (kSignatureDef).
_SIGNATURE_DEF = "signature_def"
_AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


def predict(models: ServedModels, data: bytes) -> bytes:
    """PredictionService.Predict."""
    try:
        request, given = split_request(data)
    except (DecodeError, WireError) as error:
        raise _unreadable(error) from None
    servable = _find(models, request)
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise RequestError(f'Serving signature key "{name}" not found.', 412)
    inputs = _read_inputs(given, signature, servable.engine.definitions.get(name))
    wanted = _choose_outputs(request.output_filter, signature)
    outputs = servable.engine.run(signature, inputs)
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, servable, name)
    try:
        return join_response(response, {name: outputs[name] for name in wanted})
    except TensorError as error:
        raise RequestError(f"An output is {error}", 501) from None


def _read_inputs(
    given: Mapping[str, memoryview], signature: Signature, definition: Message | None
) -> Tensors:
    defaults: Mapping[str, Message] = {} if definition is None else definition.defaults
    missing = sorted(signature.inputs.keys() - given.keys() - defaults.keys())
    extra = sorted(given.keys() - signature.inputs.keys())
    if missing or extra:
        raise RequestError(
            f"input size does not match signature: {len(given)}!={len(signature.inputs)}"
            f" len({{{','.join(sorted(given))}}}) != len({{{','.join(signature.inputs)}}})."
            f" Sent extra: {{{','.join(extra)}}}."
            f" Missing but required: {{{','.join(missing)}}}."
        )
    inputs = {}
    for name, spec in signature.inputs.items():
        text = given[name] if name in given else memoryview(defaults[name].SerializeToString())
        try:
            inputs[name] = decode_tensor(text)
        except TensorError as error:
            raise RequestError(f"tensor parsing error: {name} ({error})") from None
        found = name_type(inputs[name].dtype.name)
        if found != spec.type_name:
            # The executor's own words for a function's argument; it does not know the name.
            index = list(signature.inputs).index(name)
            raise RequestError(
                f"Expects arg[{index}] to be {spec.type_name} but {found} is provided ({name})"
            )
    return inputs


def _choose_outputs(output_filter: Sequence[str], signature: Signature) -> Sequence[str]:
    for name in output_filter:
        if name not in signature.outputs:
            raise RequestError(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the"
                f" set {{{','.join(signature.outputs)}}}."
            )
        if list(output_filter).count(name) > 1:
            raise RequestError(f"duplicate output tensor alias: {name}")
    return output_filter or list(signature.outputs)


def classify(models: ServedModels, data: bytes) -> bytes:
    """PredictionService.Classify."""
    request = _parse(classification_pb2.ClassificationRequest, data)
    servable = _find(models, request)
    found = scoring.classify(servable.engine, servable.signatures, _read_examples(request))
    response = classification_pb2.ClassificationResponse()
    _fill_spec(response.model_spec, servable, request.model_spec.signature_name)
    _fill_classes(response.result, found)
    return _serialise(response)


def regress(models: ServedModels, data: bytes) -> bytes:
    """PredictionService.Regress."""
    request = _parse(regression_pb2.RegressionRequest, data)
    servable = _find(models, request)
    found = scoring.regress(servable.engine, servable.signatures, _read_examples(request))
    response = regression_pb2.RegressionResponse()
    _fill_spec(response.model_spec, servable, request.model_spec.signature_name)
    _fill_values(response.result, found)
    return _serialise(response)


def multi_inference(models: ServedModels, data: bytes) -> bytes:
    """PredictionService.MultiInference: several signatures, one run each, on the same examples."""
    request = _parse(inference_pb2.MultiInferenceRequest, data)
    specs = [task.model_spec for task in request.tasks]
    servable = models.find(_read_target(specs[0] if specs else None))
    if len({spec.name for spec in specs}) > 1:
        raise RequestError(
            "All ModelSpecs in a MultiInferenceRequest must access the same model name."
        )
    response = inference_pb2.MultiInferenceResponse()
    tensors: dict[str, str] = {}
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in tensors:
            raise RequestError(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise RequestError(f"Requested signature not found in model graph: {name}")
        inputs = servable.engine.definitions[name].inputs.values()
        tensors[name] = ",".join(sorted(info.name for info in inputs))
        if len(set(tensors.values())) > 1:
            raise RequestError("Input tensor must be the same for all Signatures.")
        result = response.results.add()
        _fill_spec(result.model_spec, servable, name)
        _score(servable, task.method_name, ExamplesRequest(name, _read_input(request)), result)
    return _serialise(response)


def _score(servable: Servable, method: str, request: ExamplesRequest, result: Message) -> None:
    if method == scoring.CLASSIFY_METHOD:
        classes = scoring.classify(servable.engine, servable.signatures, request)
        _fill_classes(result.classification_result, classes)
    elif method == scoring.REGRESS_METHOD:
        values = scoring.regress(servable.engine, servable.signatures, request)
        _fill_values(result.regression_result, values)
    else:
        raise RequestError(f"Unsupported signature method_name: {method}", 501)


def describe_model(models: ServedModels, data: bytes) -> bytes:
    """PredictionService.GetModelMetadata."""
    request = _parse(get_model_metadata_pb2.GetModelMetadataRequest, data)
    _require_spec(request)
    if not request.metadata_field:
        raise RequestError("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _SIGNATURE_DEF:
            raise RequestError(f"Metadata field {field} is not supported")
    servable = models.find(_read_target(request.model_spec))
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    _fill_spec(response.model_spec, servable)
    definitions = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.engine.definitions)
    response.metadata[_SIGNATURE_DEF].Pack(definitions)
    return _serialise(response)


def report_status(models: ServedModels, data: bytes) -> bytes:
    """ModelService.GetModelStatus."""
    request = _parse(get_model_status_pb2.GetModelStatusRequest, data)
    _require_spec(request)
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in models.find_versions(_read_version(request.model_spec)):
        found = response.model_version_status.add(version=version, state=_AVAILABLE)
        # There, and all of it zero: OK, and no message.
        found.status.SetInParent()
    return _serialise(response)


def refuse_reload(models: ServedModels, data: bytes) -> bytes:
    """ModelService.HandleReloadConfigRequest."""
    del models, data
    raise RequestError("The models are those of the archive, and are not loaded anew.", 501)


Call = Callable[[ServedModels, bytes], bytes]
SERVICES: Mapping[str, Mapping[str, Call]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": predict,
        "Classify": classify,
        "Regress": regress,
        "MultiInference": multi_inference,
        "GetModelMetadata": describe_model,
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": report_status,
        "HandleReloadConfigRequest": refuse_reload,
    },
}


# --- Requests ---------------------------------------------------------------------------------


def _parse(kind: Message, data: bytes) -> Message:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> RequestError:
    # The code that gRPC itself answers with what it cannot parse.
    return RequestError(f"The request cannot be parsed: {error}", 500, Code.INTERNAL)


def _require_spec(request: Message) -> None:
    if not request.HasField("model_spec"):
        raise RequestError("Missing ModelSpec")


def _find(models: ServedModels, request: Message) -> Servable:
    _require_spec(request)
    return models.find(_read_target(request.model_spec))


def _read_target(spec: Message | None) -> Target:
    if spec is None or not spec.name:
        raise RequestError("ModelSpec has no name specified.")
    return _read_version(spec)


def _read_version(spec: Message) -> Target:
    choice = spec.WhichOneof("version_choice")
    return Target(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def _read_examples(request: Message) -> ExamplesRequest:
    return ExamplesRequest(request.model_spec.signature_name, _read_input(request))


def _read_input(request: Message) -> list[bytes]:
    """Return the examples, each with the context in front of it."""
    kind = request.input.WhichOneof("kind")
    found = None if kind is None else getattr(request.input, kind)
    if found is None or not found.examples:
        raise RequestError("Input is empty.")
    context = b"" if kind == "example_list" else _serialise(found.context)
    return [context + _serialise(example) for example in found.examples]


# --- Answers ----------------------------------------------------------------------------------


def _fill_spec(spec: Message, servable: Servable, signature_name: str | None = None) -> None:
    spec.name = servable.name
    spec.version.value = servable.version
    if signature_name is not None:
        spec.signature_name = signature_name or DEFAULT_SIGNATURE


def _fill_classes(result: Message, found: scoring.Classes) -> None:
    shape = next(part.shape for part in (found.labels, found.scores) if part is not None)
    for row in range(shape[0]):
        classes = result.classifications.add().classes
        for column in range(shape[1]):
            one = classes.add()
            if found.labels is not None:
                # The field is text, and a model's labels are bytes.
                one.label = found.labels[row, column].decode("utf-8", "replace")
            if found.scores is not None:
                one.score = found.scores[row, column]


def _fill_values(result: Message, values: scoring.Floats) -> None:
    for value in values.tolist():
        result.regressions.add(value=value)


def _serialise(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data
