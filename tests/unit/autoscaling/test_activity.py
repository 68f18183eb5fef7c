"""The wording of activities, held against what AWS's pages and users show."""

from windtunnel.autoscaling import activity


def test_activities_of_variants_read_as_they_do_on_aws() -> None:
    """Scripts grep these texts; they are those of a published activity of an endpoint."""
    alarm = (
        "TargetTracking-endpoint/navneet-endpoint-async-5/variant/variant1-AlarmHigh-"
        "a9ace065-59c2-4875-a224-6ca6acdb15b3"
    )
    assert activity.description(48) == "Setting desired instance count to 48."
    assert activity.success(48) == (
        "Successfully set desired instance count to 48. Change successfully fulfilled by sagemaker."
    )
    assert activity.alarm_cause(alarm, "p") == (
        f"monitor alarm {alarm} in state ALARM triggered policy p"
    )
    assert activity.failure(110, "no").startswith("Failed to set desired instance count to 110. ")


def test_scheduled_actions_read_as_on_awss_page() -> None:
    """From "Manage scheduled scaling for Application Auto Scaling"."""
    assert activity.schedule_cause("my-first-scheduled-action") == (
        "scheduled action name my-first-scheduled-action was triggered"
    )
    assert activity.bound_cause("minimum", 15) == "minimum capacity was set to 15"
    assert (
        activity.bounds_description(15, 20) == "Setting min capacity to 15 and max capacity to 20"
    )
    assert activity.bounds_success(None, 10) == "Successfully set max capacity to 10"
