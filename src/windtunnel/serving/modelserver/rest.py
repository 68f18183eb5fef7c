"""TensorFlow Serving's REST API and SageMaker's invocations: bodies in, answers out.

`infer` does everything between the bytes of a request and the bytes of its answer: it is called on
one thread, once, and nothing of it is handed to another process or thread on the way.
"""

import json

from windtunnel.serving.codecs.examples import decode_examples
from windtunnel.serving.codecs.invocations import complete_invocation, decode_invocation
from windtunnel.serving.codecs.media import JSON, Answer, encode_as
from windtunnel.serving.codecs.predict import PredictRequest, decode_predict
from windtunnel.serving.codecs.results import encode_classes, encode_values
from windtunnel.serving.errors import RequestError
from windtunnel.serving.modelserver.routes import Infer, Method, Target
from windtunnel.serving.modelserver.scoring import classify, regress
from windtunnel.serving.modelserver.served import Servable, ServedModels


def infer(
    models: ServedModels, route: Infer, body: bytes, content_type: bytes | None, answer_type: bytes
) -> Answer:
    """Return the answer to one request and its type, or raise RequestError."""
    servable = models.find(route.target)
    if route.method is Method.PREDICT:
        request = _decode_predict(servable, route, body, content_type)
        outputs = servable.engine.run(request.signature, request.inputs)
        return encode_as(answer_type, outputs, is_row=request.is_row)
    if not body:
        raise RequestError("JSON Parse error: The document is empty")
    text = complete_invocation(body, content_type) if route.is_invocation else body
    examples = decode_examples(text)
    if route.method is Method.CLASSIFY:
        found = classify(servable.engine, servable.signatures, examples)
        return JSON, encode_classes(found.labels, found.scores)
    return JSON, encode_values(regress(servable.engine, servable.signatures, examples))


def _decode_predict(
    servable: Servable, route: Infer, body: bytes, content_type: bytes | None
) -> PredictRequest:
    if route.is_invocation:
        return decode_invocation(body, content_type, servable.signatures)
    return decode_predict(body, servable.signatures)


def render_status(models: ServedModels, target: Target) -> bytes:
    """Return the states of a model's versions as TensorFlow Serving writes them."""
    states = [
        {
            "version": str(version),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        for version in models.find_versions(target)
    ]
    return _render({"model_version_status": states})


def render_metadata(models: ServedModels, target: Target) -> bytes:
    """Return the signatures of a version as TensorFlow Serving writes them."""
    from google.protobuf.json_format import MessageToDict

    servable = models.find(target)
    definitions = {
        name: MessageToDict(
            definition,
            preserving_proto_field_name=True,
            # TensorFlow Serving's ToJsonString sets always_print_primitive_fields.
            always_print_fields_with_no_presence=True,
        )
        for name, definition in servable.engine.definitions.items()
    }
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    # The message around the map has a field of the map's name.
    metadata = {"signature_def": {"signature_def": definitions}}
    return _render({"model_spec": spec, "metadata": metadata})


def _render(document: object) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"
