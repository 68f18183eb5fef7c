"""What is said of an endpoint that was another one after the run."""

import dataclasses

import pytest

from windtunnel.lab.endpoint import Endpoint, Variant
from windtunnel.lab.steadiness import Sight, changes

_VARIANT = Variant("AllTraffic", "ml.c5.large", 1, "m", "image", "s3://b/m", {})
_BEFORE = Endpoint("unet", "arn", "InService", "first", (_VARIANT,))
_SAME = Sight("InService", "first", {"AllTraffic": 1})


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (_SAME, []),
        (None, ["endpoint unet was gone after the run: it was deleted while it ran"]),
        (
            dataclasses.replace(_SAME, status="Updating"),
            [
                "endpoint unet was Updating after the run, and InService before: what was measured "
                "is of an endpoint that changed"
            ],
        ),
        (
            dataclasses.replace(_SAME, config_name="second", instance_counts={"New": 1}),
            [
                "endpoint unet ran first before the run and second after it: it was updated, and "
                "the numbers are of both"
            ],
        ),
        (
            dataclasses.replace(_SAME, instance_counts={"AllTraffic": 3}),
            [
                "variant AllTraffic had 1 instance before the run and 3 after it: the numbers "
                "average over different fleets"
            ],
        ),
    ],
)
def test_what_changed_under_a_run_is_said(now: Sight | None, expected: list[str]) -> None:
    """Numbers of two endpoints look like numbers of one."""
    assert changes(_BEFORE, now) == expected
