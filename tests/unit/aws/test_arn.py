"""Names of resources."""

import pytest

from windtunnel.aws.arn import Arn, sagemaker_arn


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:sagemaker:us-east-1:000000000000:endpoint/my-endpoint",
        "arn:aws-cn:iam::123456789012:role/service-role/x",
        "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/e:log-stream:s",
    ],
)
def test_a_name_read_and_written_is_the_same(text: str) -> None:
    """Resources may hold colons and slashes of their own."""
    assert str(Arn.parse(text)) == text


@pytest.mark.parametrize("text", ["", "arn", "arn:aws:sagemaker:r:1", "urn:aws:s:r:1:x"])
def test_what_is_no_name_has_no_parts(text: str) -> None:
    """A tag request for nonsense must be refused, not crash."""
    assert Arn.parse(text) is None


def test_sagemaker_writes_names_in_lower_case() -> None:
    """As on AWS: two names that differ in case only are one resource."""
    arn = sagemaker_arn("us-east-1", "000000000000", "endpoint", "DEMO-Image")

    assert arn == "arn:aws:sagemaker:us-east-1:000000000000:endpoint/demo-image"
