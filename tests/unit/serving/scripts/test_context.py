"""What a handler is told of its request."""

from windtunnel.http.message import Head
from windtunnel.serving.scripts.context import Backend, Context, make_context

BACKEND = Backend(rest_port=8501, grpc_port=9000, channel="a channel")


def context_of(*headers: tuple[bytes, bytes]) -> Context:
    head = Head(b"POST", b"/invocations", list(headers), keep_alive=True)
    return make_context(head, BACKEND, "unet", 30.0)


def test_the_originals_fields_stand_in_its_order() -> None:
    """Scripts take them by name, and some by their place."""
    assert Context._fields == (
        "model_name",
        "model_version",
        "method",
        "rest_uri",
        "grpc_port",
        "channel",
        "custom_attributes",
        "request_content_type",
        "accept_header",
        "content_length",
        "timeout",
    )


def test_a_bare_request_is_for_the_default_model_in_json() -> None:
    """The original's defaults; a name that the request did not bring is none."""
    assert context_of() == Context(
        model_name=None,
        model_version=None,
        method=None,
        rest_uri="http://localhost:8501/v1/models/unet:predict",
        grpc_port="9000",
        channel="a channel",
        custom_attributes=None,
        request_content_type="application/json",
        accept_header="application/json",
        content_length=None,
        timeout=30.0,
    )


def test_custom_attributes_choose_model_version_and_method() -> None:
    """`X-Amzn-SageMaker-Custom-Attributes` is how a client names one of several models."""
    attributes = b"tfs-model-name=other,tfs-model-version=7,tfs-method=classify,mine=1"
    context = context_of(
        (b"x-amzn-sagemaker-custom-attributes", attributes),
        (b"content-type", b"image/png"),
        (b"accept", b"text/csv"),
        (b"content-length", b"5"),
    )

    assert context.rest_uri == "http://localhost:8501/v1/models/other/versions/7:classify"
    assert context[:3] == ("other", "7", "classify")
    assert context.custom_attributes == attributes.decode()
    assert context[7:10] == ("image/png", "text/csv", 5)


def test_one_of_many_models_has_its_name() -> None:
    """A script for all of them tells by it whose request it has."""
    head = Head(b"POST", b"/invocations", [], keep_alive=True)
    context = make_context(head, BACKEND, "unet", 30.0, "first")

    assert context.model_name == "first"
    assert context.rest_uri == "http://localhost:8501/v1/models/unet:predict"
