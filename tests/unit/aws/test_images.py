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
            "cn-north-1",
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/tensorflow-inference:2.19-cpu",
        ),
    ],
)
def test_each_region_pulls_from_its_own_account(region: str, uri: str) -> None:
    """A URI of another region's account fails only after minutes, when the endpoint starts."""
    assert images.tensorflow_inference(region) == uri
