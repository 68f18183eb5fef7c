"""botocore's models, as the gateway reads them."""

import pytest

from windtunnel.cloud.gateway.shapes import load_service


@pytest.mark.slow
@pytest.mark.parametrize("service", ["sagemaker", "sagemaker-runtime", "sts", "cloudwatch"])
def test_no_two_members_of_a_shape_get_one_name(service: str) -> None:
    """If two did, one of them would be lost on its way in."""
    model = load_service(service)
    colliding = [
        name
        for name in model.shape_names
        if len(model.shape(name).members_by_key) < len(model.shape(name).members)
    ]
    assert colliding == []


def test_a_users_own_models_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in `~/.aws/models` changes that user's clients, not what this cloud is."""
    monkeypatch.setenv("AWS_DATA_PATH", "/nonexistent")
    load_service.cache_clear()

    assert "CreateEndpoint" in load_service("sagemaker").operation_names


def test_errors_are_found_by_code_and_by_name() -> None:
    """The query protocol says the one, JSON the other."""
    errors = load_service("cloudwatch").errors_by_code

    assert errors["InvalidParameterValue"] is errors["InvalidParameterValueException"]
    assert errors["InternalServiceError"].status == 500
