"""Whether one more instance fits into the machine's memory.

A machine that swaps measures its disk. So an instance that would not fit is refused with a reason
before it starts; what the estimate is made of stands in `core/limits`, with its measurements.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from windtunnel.cloud.fleet.images import ImageKind
from windtunnel.core import limits

_SERVERS_VARIABLE = "SAGEMAKER_TFS_INSTANCE_COUNT"
_WORKERS_VARIABLE = "SAGEMAKER_GUNICORN_WORKERS"


@dataclass(frozen=True)
class Demand:
    """What an instance's memory depends on, before it runs."""

    kind: ImageKind
    environment: Mapping[str, str]
    model_bytes: int = 0
    # Whether workers run a script before the models.
    has_script: bool = False

    @property
    def server_count(self) -> int:
        """How many model servers its container will start."""
        return _count(self.environment, _SERVERS_VARIABLE)

    @property
    def worker_count(self) -> int:
        """How many workers its container will start."""
        return _count(self.environment, _WORKERS_VARIABLE) if self.has_script else 0

    @property
    def size_bytes(self) -> int:
        """How much memory it will take, roughly and rather too much."""
        if self.kind == "command":
            return limits.COMMAND_BYTES
        server_bytes = limits.MODEL_SERVER_BYTES + int(limits.MODEL_BYTES_FACTOR * self.model_bytes)
        return server_bytes * self.server_count + limits.SCRIPT_WORKER_BYTES * self.worker_count


def _count(environment: Mapping[str, str], name: str) -> int:
    """Return how many processes a variable asks for; one when it is no number."""
    text = environment.get(name, "1")
    # A wrong value is the container's to refuse, in its own words.
    return max(1, int(text)) if text.isdecimal() else 1


def refusal(demand: Demand, available_bytes: int) -> str | None:
    """Say why an instance does not fit into what is available; None when it does."""
    usable_bytes = max(0, available_bytes - limits.MEMORY_RESERVE_BYTES)
    if demand.size_bytes <= usable_bytes:
        return None
    processes = []
    advice = []
    for count, name, variable in (
        (demand.server_count, "model servers", _SERVERS_VARIABLE),
        (demand.worker_count, "script workers", _WORKERS_VARIABLE),
    ):
        if count > 1:
            processes.append(f"{count} {name}")
            advice.append(f"lower {variable}")
    needed = f"about {_gib(demand.size_bytes)}"
    if processes:
        needed += f" for {' and '.join(processes)}"
    advice += ["delete another endpoint", "or ask for fewer instances"]
    return (
        f"This machine has not enough memory: the instance needs {needed}, and"
        f" {_gib(usable_bytes)} is free for instances. To make it fit, {', '.join(advice)}."
    )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / limits.GIB:.1f} GiB"


class Ledger:
    """Memory promised to instances that have not taken it yet.

    A starting instance has not grown: ten that start at once would all see the same free memory.
    """

    def __init__(self) -> None:
        self._promised: dict[str, int] = {}

    @property
    def promised_bytes(self) -> int:
        """How much is promised and, as far as anybody knows, not yet taken."""
        return sum(self._promised.values())

    def promise(self, instance_id: str, size_bytes: int) -> None:
        """Set memory aside for an instance."""
        self._promised[instance_id] = size_bytes

    def settle(self, instance_id: str) -> None:
        """Forget the promise: the instance has its memory, or is gone."""
        self._promised.pop(instance_id, None)
