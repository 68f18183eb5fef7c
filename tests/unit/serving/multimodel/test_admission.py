"""Whether one more model may be loaded."""

import pytest

from windtunnel.core import limits
from windtunnel.serving.errors import RequestError
from windtunnel.serving.multimodel.admission import check_name, check_room, demand_of
from windtunnel.serving.settings import MultiModel, parse_settings

RULES = MultiModel(load_timeout_s=55.0, count_max=3)


def test_every_process_of_a_model_counts() -> None:
    """A model with two servers and a script's workers takes more than the bare one."""
    given = {"SAGEMAKER_TFS_INSTANCE_COUNT": "2", "SAGEMAKER_GUNICORN_WORKERS": "3"}
    settings = parse_settings(given, is_on_port=False, has_script=True)
    bare = demand_of(limits.MIB, settings, has_script=False)
    scripted = demand_of(limits.MIB, settings, has_script=True)

    assert bare.size_bytes == 2 * (limits.MODEL_SERVER_BYTES + 2 * limits.MIB)
    assert scripted.size_bytes - bare.size_bytes == 3 * limits.SCRIPT_WORKER_BYTES


def test_a_model_without_room_is_refused_so_that_others_can_go() -> None:
    """507 is what makes the platform unload; a machine that swaps would serve nobody."""
    demand = demand_of(0, parse_settings({}, is_on_port=False), has_script=False)
    enough = limits.MEMORY_RESERVE_BYTES + demand.size_bytes

    check_room(RULES, 2, demand, enough)
    for count, free_bytes in ((3, enough), (0, enough - 1), (0, 0)):
        with pytest.raises(RequestError) as caught:
            check_room(RULES, count, demand, free_bytes)
        assert caught.value.status == 507
        assert caught.value.message.startswith("Memory exhausted: ")


def test_a_name_is_one_models() -> None:
    """409 tells a platform that lost track of its models that nothing is to be done."""
    check_name("b", ["a"])
    with pytest.raises(RequestError) as caught:
        check_name("a", ["a"])

    assert caught.value.status == 409
