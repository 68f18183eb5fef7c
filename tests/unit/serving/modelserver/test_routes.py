"""What a request asks for, from its head alone."""

import pytest

from windtunnel.serving.errors import RequestError
from windtunnel.serving.modelserver.routes import (
    Infer,
    Metadata,
    Method,
    Ping,
    Route,
    Status,
    Target,
    choose_route,
)


@pytest.mark.parametrize(
    ("method", "path", "attributes", "expected"),
    [
        (b"GET", b"/ping", None, Ping()),
        (b"HEAD", b"/ping", None, Ping()),
        (b"POST", b"/invocations", None, Infer(Target(), is_invocation=True)),
        (
            b"POST",
            b"/invocations",
            b"trace=1,tfs-model-name=m,tfs-model-version=2,tfs-method=predict",
            Infer(Target("m", 2), is_invocation=True),
        ),
        (b"POST", b"/invocations", b"tfs-x=a=b", Infer(Target(), is_invocation=True)),
        (b"GET", b"/v1/models/m", None, Status(Target("m"))),
        (b"GET", b"/v1/models/m/versions/3", None, Status(Target("m", 3))),
        (b"POST", b"/v1/models/m:predict", None, Infer(Target("m"), is_invocation=False)),
        (
            b"POST",
            b"/v1/models/a%20b/versions/3:predict",
            None,
            Infer(Target("a b", 3), is_invocation=False),
        ),
        (
            b"POST",
            b"/v1/models/m:Classify",
            None,
            Infer(Target("m"), is_invocation=False, method=Method.CLASSIFY),
        ),
        (
            b"POST",
            b"/v1/models/m/labels/a%20b:regress",
            None,
            Infer(Target("m", None, "a b"), is_invocation=False, method=Method.REGRESS),
        ),
        (
            b"POST",
            b"/invocations",
            b"tfs-method=regress",
            Infer(Target(), is_invocation=True, method=Method.REGRESS),
        ),
        (b"GET", b"/v1/models/m/labels/x", None, Status(Target("m", None, "x"))),
        (b"GET", b"/v1/models/m/metadata", None, Metadata(Target("m"))),
        (b"GET", b"/v1/models/m/versions/3/metadata", None, Metadata(Target("m", 3))),
    ],
)
def test_both_contracts_are_understood(
    method: bytes, path: bytes, attributes: bytes | None, expected: Route
) -> None:
    """SageMaker's paths and TensorFlow Serving's, on one server."""
    assert choose_route(method, path, attributes) == expected


@pytest.mark.parametrize(
    ("method", "path", "attributes", "status", "message"),
    [
        (b"GET", b"/", None, 404, "Not Found"),
        (b"POST", b"/models", None, 404, "Not Found"),
        (b"GET", b"/v1/models", None, 404, "Not Found"),
        (b"GET", b"/invocations", None, 405, "Method Not Allowed"),
        (b"POST", b"/ping", None, 405, "Method Not Allowed"),
        (b"GET", b"/v1/models/m:predict", None, 405, "Method Not Allowed"),
        (b"POST", b"/v1/models/m", None, 405, "Method Not Allowed"),
        (b"GET", b"/v1/models/m:classify", None, 405, "Method Not Allowed"),
        (b"POST", b"/v1/models/m/metadata", None, 405, "Method Not Allowed"),
        (b"GET", b"/v1/models/m/versions/3/labels/x", None, 404, "Not Found"),
        (b"POST", b"/v1/models/m:explain", None, 400, "explain is not known"),
        (b"POST", b"/invocations", b"tfs-method=explain", 400, "explain is not known"),
        (b"POST", b"/invocations", b"tfs-model-version=x", 400, "Failed to convert version: x"),
        (b"GET", b"/v1/models/m/versions/99999999999999999999", None, 400, "Failed to convert"),
    ],
)
def test_everything_else_is_refused_with_a_reason(
    method: bytes, path: bytes, attributes: bytes | None, status: int, message: str
) -> None:
    """Nothing falls through to a model."""
    with pytest.raises(RequestError, match=message) as caught:
        choose_route(method, path, attributes)

    assert caught.value.status == status
