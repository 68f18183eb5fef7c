"""Image URIs by region."""

import pytest

from windtunnel.aws import images


@pytest.mark.parametrize(
    ("region", "uri"),
    [
        (
            "us-east-1",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu",
        ),
        (
            "ap-southeast-3",
            "907027046896.dkr.ecr.ap-southeast-3.amazonaws.com/tensorflow-inference:2.19-cpu",
        ),
        (
            "mx-central-1",
            "637423239942.dkr.ecr.mx-central-1.amazonaws.com/tensorflow-inference:2.19-cpu",
        ),
        (
            "cn-north-1",
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/tensorflow-inference:2.19-cpu",
        ),
    ],
)
def test_each_region_pulls_from_its_own_account(region: str, uri: str) -> None:
    """A URI of another region's account fails only after minutes, when the endpoint starts."""
    assert images.tensorflow_inference(region) == uri


@pytest.mark.parametrize(
    ("instance_type", "processor"),
    [
        ("ml.c5.large", "cpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.p3.2xlarge", "gpu"),
        ("ml.g99.xlarge", "gpu"),
        ("ml.inf1.xlarge", "cpu"),
        ("ml.m99.large", "cpu"),
    ],
)
def test_a_type_with_a_gpu_gets_the_image_that_uses_it(instance_type: str, processor: str) -> None:
    """The CPU's image on a GPU's machine costs the GPU's price and leaves it idle."""
    uri = images.tensorflow_inference("us-east-1", instance_type)

    assert uri is not None
    assert uri.endswith(f"-{processor}")


def test_a_region_that_nobody_lists_has_no_image() -> None:
    """A made-up account fails after the upload and the minutes of waiting."""
    assert images.tensorflow_inference("moon-north-1") is None
