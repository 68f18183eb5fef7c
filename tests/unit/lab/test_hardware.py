"""What a result may be called."""

import json

from windtunnel.lab import hardware
from windtunnel.lab.endpoint import Variant


def _variant(instance_type: str, count: int = 1) -> Variant:
    return Variant(
        name="AllTraffic",
        instance_type=instance_type,
        instance_count=count,
        model_name="m",
        image="i",
        model_data_url="s3://b/k",
        environment={},
    )


def test_a_local_result_says_what_stood_in_for_what() -> None:
    """Nobody may read a laptop's number as that of a 64-vCPU machine with a GPU."""
    found = hardware.fidelity("local", [_variant("ml.g4dn.16xlarge")], cpu_count=2)

    assert found["fidelity"] == "stand-in"
    assert found["instances"] == "ml.g4dn.16xlarge (stand-in: 2 of 64 vCPU, no GPU)"
    assert "not TF Serving" in found["server"]


def test_local_instances_that_share_cores_say_so() -> None:
    """Two instances on one machine are not twice one instance."""
    found = hardware.fidelity("local", [_variant("ml.c5.large", 2)], cpu_count=2)

    assert found["instances"].startswith("2 x ml.c5.large")
    assert "same 2 cores" in found["instances"]


def test_a_result_from_aws_is_measured() -> None:
    """There the type itself ran."""
    found = hardware.fidelity("aws", [_variant("ml.c5.large", 3)], cpu_count=2)

    assert found == {"fidelity": "measured", "instances": "3 x ml.c5.large"}


def test_this_machine_is_described() -> None:
    """A number without its machine cannot be compared with anything."""
    facts = hardware.describe()

    assert facts["cpu_model"]
    assert facts["cpu_count"] >= facts["cpu_count_usable"] >= 1
    assert facts["memory_bytes"] > 0
    json.dumps(facts)


def test_a_result_from_a_warped_cloud_says_so_wherever_it_names_the_instances() -> None:
    """Ten minutes of its scaling took one; nobody may read that as AWS's pace."""
    assert hardware.place({"instances": "ml.c5.large"}) == "ml.c5.large"
    assert hardware.place({"instances": "ml.c5.large", "clock": "x10"}) == "ml.c5.large, clock x10"
