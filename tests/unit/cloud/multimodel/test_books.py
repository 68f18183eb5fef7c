"""What an instance unloads to make room, and when it hopes for room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.multimodel.books import Holding, Phase, can_hope, choose_victim, is_over

_HOLDINGS = st.lists(
    st.builds(
        Holding,
        phase=st.sampled_from(Phase),
        in_hand=st.integers(0, 2),
        used=st.integers(0, 20),
    )
)


@given(_HOLDINGS)
def test_only_what_nobody_needs_goes_and_the_oldest_first(holdings: list[Holding]) -> None:
    """A request that was taken is answered, and what is asked for often stays."""
    named = {str(number): each for number, each in enumerate(holdings)}
    idle = [each for each in holdings if each.phase is Phase.LOADED and each.in_hand == 0]
    victim = choose_victim(named)

    if victim is None:
        assert not idle
    else:
        assert named[victim] in idle
        assert named[victim].used == min(each.used for each in idle)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], False),
        ([Holding(Phase.LOADED, in_hand=1)], True),
        ([Holding(Phase.UNLOADING)], True),
        ([Holding(Phase.LOADING)], True),
        ([Holding(Phase.LOADING, is_stuck=True)], False),
    ],
)
def test_models_that_wait_for_room_do_not_wait_for_one_another(
    others: list[Holding], *, expected: bool
) -> None:
    """Two models that are each too large beside the other end in an answer, not in silence."""
    named = {str(number): each for number, each in enumerate(others)}

    assert can_hope({**named, "m": Holding()}, "m") is expected


def test_an_instance_has_the_memory_of_its_type() -> None:
    """What would not fit on AWS is not kept here either."""
    holdings = {"a": Holding(size_bytes=3), "b": Holding(size_bytes=4)}

    assert is_over(holdings, 6)
    assert not is_over(holdings, 7)
