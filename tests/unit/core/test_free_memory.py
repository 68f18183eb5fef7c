"""How much memory there is for new processes."""

from pathlib import Path

import psutil
import pytest

from windtunnel.core import free_memory


@pytest.mark.parametrize(
    ("files", "available"),
    [
        ({}, None),
        ({"memory.max": "max\n"}, None),
        ({"memory.max": "1000\n", "memory.current": "what"}, None),
        (
            {
                "memory.max": "1000\n",
                "memory.current": "700\n",
                "memory.stat": "anon 400\ninactive_file 250\nactive_file 50\n",
            },
            550,
        ),
        ({"memory.max": "10", "memory.current": "70", "memory.stat": ""}, 0),
    ],
)
def test_a_container_s_own_limit_is_seen(
    tmp_path: Path, files: dict[str, str], available: int | None
) -> None:
    """In a container with 4 GiB on a host with 64, it is the 4 that end an instance."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert free_memory._cgroup_available_bytes(tmp_path) == available


def test_the_machine_s_own_figure_is_plausible() -> None:
    """The reading really reads."""
    assert 0 < free_memory.available_bytes() <= psutil.virtual_memory().total
