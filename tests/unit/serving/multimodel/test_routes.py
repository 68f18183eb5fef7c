"""What is asked of a container of many models, from a request's head."""

import pytest

from windtunnel.serving.errors import RequestError
from windtunnel.serving.multimodel.routes import (
    Describe,
    Invoke,
    List,
    Load,
    Ping,
    Route,
    Unload,
    choose_route,
    parse_load,
    render_page,
)


@pytest.mark.parametrize(
    ("method", "path", "query", "route"),
    [
        (b"GET", b"/ping", b"", Ping()),
        (b"GET", b"/models", b"", List(None)),
        (b"GET", b"/models", b"next_page_token=m%207", List("m 7")),
        (b"POST", b"/models", b"", Load()),
        (b"GET", b"/models/m%2F7", b"", Describe("m/7")),
        (b"DELETE", b"/models/m", b"", Unload("m")),
        (b"POST", b"/models/m/invoke", b"", Invoke("m")),
    ],
)
def test_the_contracts_paths_are_known(
    method: bytes, path: bytes, query: bytes, route: Route
) -> None:
    """A platform that keeps AWS's contract finds everything that the contract names."""
    assert choose_route(method, path, query) == route


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"POST", b"/invocations", 400),
        (b"GET", b"/elsewhere", 404),
        (b"GET", b"/models/m/other", 404),
        (b"PUT", b"/models", 405),
        (b"GET", b"/models/m/invoke", 405),
        (b"DELETE", b"/ping", 405),
    ],
)
def test_everything_else_is_refused_by_status(method: bytes, path: bytes, status: int) -> None:
    """A typing error in a path must not look like a model that is not loaded."""
    with pytest.raises(RequestError) as caught:
        choose_route(method, path, b"")

    assert caught.value.status == status


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model_name": "m"}', b'{"model_name": 1, "url": "u"}']
)
def test_a_request_to_load_names_a_model_and_its_folder(body: bytes) -> None:
    """What is missing is said, instead of loading something else."""
    with pytest.raises(RequestError) as caught:
        parse_load(body)

    assert caught.value.status == 400
    assert parse_load(b'{"model_name": "m", "url": "/opt/ml/models/m/model"}') == (
        "m",
        "/opt/ml/models/m/model",
    )


def test_pages_miss_no_model_that_stays() -> None:
    """Whoever reads page by page sees each model once, also when others go meanwhile."""
    models = {f"m{number}": f"/{number}" for number in range(5)}
    first = render_page(models, None, size=2)
    del models["m0"]
    second = render_page(models, first["nextPageToken"], size=2)
    last = render_page(models, second["nextPageToken"], size=2)

    assert first["models"][0] == {"modelName": "m0", "modelUrl": "/0"}
    assert [each["modelName"] for each in first["models"] + second["models"] + last["models"]] == [
        "m0",
        "m1",
        "m2",
        "m3",
        "m4",
    ]
    assert "nextPageToken" not in last
