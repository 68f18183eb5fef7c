"""Whether one more model may be loaded: is it there, and is there room for it?

Rules: pure; what lies in the folder, how much memory is free and how many models there are is
handed in. The statuses are the contract's and the original's: 409 for a name that is taken, 404 for
a folder without a model, 507 for want of memory or ports, upon which a platform unloads others.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from windtunnel.core import limits
from windtunnel.serving.errors import RequestError
from windtunnel.serving.settings import MultiModel, Settings


@dataclass(frozen=True, slots=True)
class Demand:
    """What a model takes of the memory, roughly and rather too much."""

    model_bytes: int
    server_count: int
    worker_count: int

    @property
    def size_bytes(self) -> int:
        """All its processes."""
        server_bytes = limits.MODEL_SERVER_BYTES + int(limits.MODEL_BYTES_FACTOR * self.model_bytes)
        return server_bytes * self.server_count + limits.SCRIPT_WORKER_BYTES * self.worker_count


def demand_of(model_bytes: int, settings: Settings, *, has_script: bool) -> Demand:
    """Return what a model of so many bytes on disk will take with these settings."""
    worker_count = settings.workers.count if has_script else 0
    return Demand(model_bytes, settings.server_count, worker_count)


def check_name(name: str, taken: Iterable[str]) -> None:
    """Refuse a second model of a name."""
    if name in taken:
        raise RequestError(f"Model {name} is already loaded.", 409)


def check_room(rules: MultiModel, count: int, demand: Demand, free_bytes: int) -> None:
    """Refuse a model beyond what the ports or the memory are enough for."""
    if count >= rules.count_max:
        raise RequestError(
            f"Memory exhausted: no available ports to load the model, {count} are loaded.", 507
        )
    usable_bytes = max(0, free_bytes - limits.MEMORY_RESERVE_BYTES)
    if demand.size_bytes > usable_bytes:
        raise RequestError(
            f"Memory exhausted: the model needs about {demand.size_bytes // limits.MIB} MiB, and"
            f" {usable_bytes // limits.MIB} MiB is free.",
            507,
        )
