"""Which GPU a model server gets, and how much of it."""

from pathlib import Path

from windtunnel.serving.gpus import GpuShare, choose_fraction, choose_share, count_gpus


def test_the_fraction_is_the_originals() -> None:
    """round((1 - margin) / count, 4), and only where servers share a GPU."""
    assert choose_fraction(0.2, 8, 1) == 0.1
    assert choose_fraction(0.2, 3, 1) == 0.2667
    assert choose_fraction(0.0, 2, 4) == 0.5
    assert choose_fraction(0.2, 1, 1) is None
    assert choose_fraction(0.2, 8, 0) is None


def test_of_several_gpus_each_server_gets_one() -> None:
    """Otherwise all servers would crowd on the first."""
    assert [choose_share(server, 2, 0.4).number for server in range(3)] == [0, 1, 0]
    assert choose_share(3, 1, 0.4) == GpuShare(None, 0.4)
    assert choose_share(3, 0, None) == GpuShare()


def test_the_drivers_list_is_counted(tmp_path: Path) -> None:
    """A machine without the driver has no GPU."""
    for name in ("0000:00:1e.0", "0000:00:1f.0"):
        (tmp_path / name).mkdir()

    assert count_gpus(tmp_path) == 2
    assert count_gpus(tmp_path / "none") == 0
