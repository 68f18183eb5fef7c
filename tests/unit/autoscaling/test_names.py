"""Names, held against published ones."""

import pytest

from windtunnel.autoscaling import names

_UUID = "b7b87dd4-07cc-440f-accf-42449e8eb925"


def test_a_policy_its_alarms_and_an_action_are_called_as_on_aws() -> None:
    """The form of a dumped alarm of a policy, and of an action on AWS's page."""
    arn = names.policy_arn("us-east-1", "123456789012", _UUID, "endpoint/e/variant/v", "P")
    action = names.scheduled_action_arn(
        "us-east-1", "123456789012", _UUID, "endpoint/e/variant/v", "morning"
    )

    assert arn == (
        f"arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:{_UUID}:"
        "resource/sagemaker/endpoint/e/variant/v:policyName/P"
    )
    assert action.endswith(
        f":scheduledAction:{_UUID}:resource/sagemaker/endpoint/e/variant/v:"
        "scheduledActionName/morning"
    )
    assert names.alarm_description(arn, "43c0") == (
        f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {arn}:createdBy/43c0."
    )


def test_a_resource_is_read_back_as_it_was_named() -> None:
    """What a client sends names an endpoint and one of its variants."""
    assert names.parse_resource_id(names.resource_id("unet", "AllTraffic")) == (
        "unet",
        "AllTraffic",
    )


@pytest.mark.parametrize(
    "text",
    ["", "endpoint/unet", "endpoint//variant/v", "endpoint/a/variant/", "inference-component/x",
     "endpoint/a/variant/b/c", " endpoint/a/variant/b"],
)  # fmt: skip
def test_what_names_no_variant_is_told(text: str) -> None:
    """Other dimensions' resources, and slips."""
    assert names.parse_resource_id(text) is None
