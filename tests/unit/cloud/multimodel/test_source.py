"""Where a model lies that a request names."""

import pytest

from windtunnel.cloud.multimodel.source import ModelSource, model_id


def source(url: str) -> ModelSource:
    return ModelSource("e", "v", url, True, 60.0, "local/command", {}, "ml.c5.large")


@pytest.mark.parametrize(
    ("url", "model", "key"),
    [
        ("s3://b/models/", "a.tar.gz", "models/a.tar.gz"),
        ("s3://b/models", "a.tar.gz", "models/a.tar.gz"),
        ("s3://b/models", "/a.tar.gz", "models/a.tar.gz"),
        ("s3://b/models/", "deep/a.tar.gz", "models/deep/a.tar.gz"),
        ("s3://b/", "a.tar.gz", "a.tar.gz"),
        ("s3://b", "a.tar.gz", "a.tar.gz"),
        ("https://b.s3.us-east-1.amazonaws.com/models/", "a.tar.gz", "models/a.tar.gz"),
    ],
)
def test_a_model_is_named_relative_to_the_prefix(url: str, model: str, key: str) -> None:
    """Whatever list_models of the SDK yields can be given back as a TargetModel."""
    assert source(url).locate(model) == ("b", key)


def test_a_container_knows_a_model_by_a_name_for_a_path() -> None:
    """A TargetModel may hold slashes; what stands in /models/NAME/invoke may not."""
    names = {model_id(model) for model in ("a/b.tar.gz", "a_b.tar.gz", "a b.tar.gz")}

    assert len(names) == 3
    assert all(name.isalnum() for name in names)
