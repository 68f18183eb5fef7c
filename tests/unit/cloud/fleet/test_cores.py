"""Who runs on which cores."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.fleet.cores import Cores, choose_cores, core_count, machine_cores

TYPES = ["ml.r8g.medium", "ml.c5.large", "ml.c5.xlarge", "ml.g4dn.16xlarge", "ml.unknown.type"]


def test_an_instance_gets_its_vcpus_or_all_there_are() -> None:
    """A one-vCPU type is one core here too, and no type is more than the machine."""
    counts = [core_count(name, 2) for name in TYPES]

    assert counts == [1, 2, 2, 2, 2]


def test_one_vcpu_instances_spread_over_the_cores() -> None:
    """Two small instances do not slow each other down."""
    cores = Cores([0, 1])

    given_cores = [cores.assign("ml.r8g.medium") for _ in range(3)]
    cores.release(given_cores[1])

    assert given_cores == [(0,), (1,), (0,)]
    assert cores.assign("ml.r8g.medium") == (1,)


@given(st.integers(1, 8), st.lists(st.tuples(st.sampled_from(TYPES), st.booleans()), max_size=30))
def test_no_core_is_much_busier_than_another(
    machine: int, requests: list[tuple[str, bool]]
) -> None:
    """Whatever comes and stays, new instances even the load out; what goes is given back."""
    cores = Cores(range(machine))
    kept: list[tuple[int, ...]] = []
    for instance_type, stays in requests:
        before = cores.load
        assigned = cores.assign(instance_type)
        assert len(set(assigned)) == core_count(instance_type, machine)
        left_out = set(before) - set(assigned)
        assert all(before[core] <= before[other] for core in assigned for other in left_out)
        if stays:
            kept.append(assigned)
        else:
            cores.release(assigned)

    counted = Counter(core for assigned in kept for core in assigned)
    assert cores.load == {core: counted[core] for core in range(machine)}


def test_cores_need_not_be_numbered_from_zero() -> None:
    """A container may give this process cores 3 and 5 only."""
    assert choose_cores({3: 1, 5: 0}, 1) == (5,)
    assert machine_cores()
