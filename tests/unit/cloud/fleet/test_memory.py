"""Who fits into the machine."""

import pytest

from windtunnel.cloud.fleet.memory import Demand, Ledger, refusal
from windtunnel.core.limits import GIB, MEMORY_RESERVE_BYTES, MIB, SCRIPT_WORKER_BYTES

EIGHT = {"SAGEMAKER_TFS_INSTANCE_COUNT": "8"}


def test_every_process_counts() -> None:
    """Eight model servers take eight times one's memory; a worker counts only with a script."""
    one = Demand("tensorflow", {}, 20 * MIB).size_bytes
    workers = {"SAGEMAKER_GUNICORN_WORKERS": "64"}

    assert one > 2 * 20 * MIB
    assert Demand("tensorflow", EIGHT, 20 * MIB).size_bytes == 8 * one
    assert Demand("tensorflow", workers, 20 * MIB).size_bytes == one
    assert (
        Demand("tensorflow", workers, 20 * MIB, has_script=True).size_bytes
        == one + 64 * SCRIPT_WORKER_BYTES
    )
    assert Demand("command", EIGHT, GIB).size_bytes == Demand("command", {}).size_bytes


@pytest.mark.parametrize(
    ("text", "count"), [("8", 8), ("1", 1), ("0", 1), ("-3", 1), ("many", 1), ("", 1), ("٣", 3)]
)
def test_a_variable_that_is_no_count_is_left_to_the_container(text: str, count: int) -> None:
    """Admission never fails on a typing error that the container will name better."""
    assert Demand("tensorflow", {"SAGEMAKER_TFS_INSTANCE_COUNT": text}).server_count == count


def test_what_fits_is_admitted_and_what_does_not_is_told_how_it_would() -> None:
    """A refusal names the need, what is free, and the variables to lower."""
    demand = Demand("tensorflow", EIGHT, 100 * MIB)
    needed = demand.size_bytes

    assert refusal(demand, needed + MEMORY_RESERVE_BYTES) is None
    assert refusal(demand, needed + MEMORY_RESERVE_BYTES - 1) == (
        "This machine has not enough memory: the instance needs about 3.6 GiB for 8 model servers, "
        "and 3.6 GiB is free for instances. To make it fit, lower SAGEMAKER_TFS_INSTANCE_COUNT, "
        "delete another endpoint, or ask for fewer instances."
    )
    scripted = Demand("tensorflow", {"SAGEMAKER_GUNICORN_WORKERS": "64"}, has_script=True)
    said = refusal(scripted, 0)
    assert said is not None
    assert "4.2 GiB for 64 script workers, and" in said
    assert "To make it fit, lower SAGEMAKER_GUNICORN_WORKERS, delete another" in said
    assert refusal(Demand("command", {}), 0) == (
        "This machine has not enough memory: the instance needs about 0.1 GiB, and 0.0 GiB is free "
        "for instances. To make it fit, delete another endpoint, or ask for fewer instances."
    )


def test_promises_last_until_the_instance_has_grown() -> None:
    """Ten instances that start at once do not all count on the same memory."""
    ledger = Ledger()
    ledger.promise("a", 5)
    ledger.promise("b", 7)

    ledger.settle("a")
    ledger.settle("a")

    assert ledger.promised_bytes == 7
