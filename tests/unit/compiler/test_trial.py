"""How many threads a form is served with, by how it was timed."""

from windtunnel.compiler.measure import Timing
from windtunnel.compiler.trial import choose_lone


def timing(wall_s: float, cpu_s: float) -> Timing:
    return Timing((wall_s,) * 8, wall_s, cpu_s)


def test_a_large_graph_gets_all_cores() -> None:
    """Two cores take nearly half as long as one."""
    lone = choose_lone({0: timing(0.016, 0.031), 1: timing(0.03, 0.03)})

    assert (lone.threads, lone.timing.p50_s) == (0, 0.016)


def test_a_small_graph_gets_one_thread() -> None:
    """To divide it costs more than it gains, on an idle machine, too."""
    lone = choose_lone({0: timing(50e-6, 80e-6), 1: timing(40e-6, 40e-6)})

    assert lone.threads == 1


def test_a_busy_machine_decides_nothing_for_an_idle_one() -> None:
    """Threads that waited for cores say little of a container that has its own."""
    lone = choose_lone({0: timing(0.068, 0.031), 1: timing(0.04, 0.03)})

    assert (lone.threads, lone.timing.p50_s) == (0, 0.04)
