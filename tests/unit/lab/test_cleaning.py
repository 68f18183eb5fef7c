"""Deleting what is ours, and nothing else."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windtunnel.lab.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.lab.conftest import FakeAws, Ran

    Command = Callable[..., Ran]

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow

_BUCKET = "sagemaker-us-east-1-000000000000"


def _strangers_things(target: Target) -> None:
    """Make an endpoint, and objects, that are somebody else's."""
    client = target.sagemaker()
    client.create_model(
        ModelName="theirs",
        ExecutionRoleArn="arn:aws:iam::000000000000:role/theirs",
        PrimaryContainer={"Image": "i"},
    )
    client.create_endpoint_config(
        EndpointConfigName="theirs",
        ProductionVariants=[
            {
                "VariantName": "v",
                "ModelName": "theirs",
                "InstanceType": "ml.c5.large",
                "InitialInstanceCount": 1,
            }
        ],
        Tags=[{"Key": "windtunnel:created-by", "Value": "somebody who knows our tag"}],
    )
    client.create_endpoint(EndpointName="theirs", EndpointConfigName="theirs")
    target.s3().put_object(Bucket=_BUCKET, Key="windtunnel/theirs/notes.txt", Body=b"keep")


def test_what_windtunnel_made_goes_and_nothing_else(
    windtunnel: "Command", aws: "FakeAws", target: Target, archive: Path
) -> None:
    """A clean-up that deletes a stranger's endpoint is the worst bug this tool could have."""
    windtunnel("deploy", archive, "--endpoint-name", "unet")
    _strangers_things(target)

    ran = windtunnel("clean", "--yes", "--json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["deleted"]["endpoints"] == ["unet"]
    assert list(aws.models) == list(aws.configs) == list(aws.endpoints) == ["theirs"]
    assert list(aws.buckets[_BUCKET]) == ["windtunnel/theirs/notes.txt"]


def test_one_endpoints_things_go_without_anothers(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """Cleaning up after one experiment must leave the next one running."""
    windtunnel("deploy", archive, "--endpoint-name", "old")
    windtunnel("deploy", archive, "--endpoint-name", "new")

    ran = windtunnel("clean", "--endpoint-name", "old", "--yes")

    assert ran.code == 0, ran.err
    assert list(aws.endpoints) == ["new"]
    assert [name.partition("-")[0] for name in aws.models] == ["new"]
    assert [key.split("/")[1] for key in aws.buckets[_BUCKET]] == ["new"]


def test_nothing_is_deleted_where_nobody_can_be_asked(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """A script that forgot --yes must not delete by default."""
    windtunnel("deploy", archive, "--endpoint-name", "unet")

    ran = windtunnel("clean")

    assert ran.code == 2
    assert "endpoint unet" in ran.err
    assert "--yes" in ran.err
    assert list(aws.endpoints) == ["unet"]


def test_the_remains_of_a_deployment_without_its_endpoint_are_found(
    windtunnel: "Command", aws: "FakeAws", archive: Path
) -> None:
    """An interrupted deployment leaves a model and an upload that no endpoint leads to."""
    windtunnel("deploy", archive, "--endpoint-name", "unet")
    aws.endpoints.clear()

    ran = windtunnel("clean", "--endpoint-name", "unet", "--yes")

    assert ran.code == 0, ran.err
    assert not aws.models
    assert not aws.configs
    assert not aws.buckets[_BUCKET]


def test_an_upload_in_a_bucket_of_the_users_own_is_found_without_its_model(
    windtunnel: "Command", aws: "FakeAws", target: Target, archive: Path
) -> None:
    """Archives are what a deployment leaves that costs money for years."""
    target.s3().create_bucket(Bucket="mine-alone")
    windtunnel("deploy", archive, "--endpoint-name", "unet", "--bucket", "mine-alone")
    aws.endpoints.clear()
    aws.configs.clear()
    aws.models.clear()

    ran = windtunnel("clean", "--bucket", "mine-alone", "--yes")
    mistyped = windtunnel("clean", "--bucket", "mine-alnoe", "--yes")

    assert ran.code == 0, ran.err
    assert not aws.buckets["mine-alone"]
    assert mistyped.code == 1
    assert "bucket mine-alnoe" in mistyped.err


def test_an_empty_account_is_clean_already(windtunnel: "Command") -> None:
    """Cleaning twice is no error."""
    ran = windtunnel("clean")

    assert ran.code == 0
    assert "made nothing" in ran.err
