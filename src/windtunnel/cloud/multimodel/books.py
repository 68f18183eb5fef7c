"""What one instance has loaded, what is coming and going, and what goes next to make room.

Rule: pure. Models are unloaded in the order of their last use, and none that a request needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from windtunnel.cloud.errors import CloudError


class LoadFailedError(CloudError):
    """The container did not load a model: its status (0 for no answer), and its words."""

    def __init__(self, status: int, original: str) -> None:
        super().__init__(original)
        self.status = status
        self.original = original


# Called once, with why the model is not there, or None when it is.
Ready = Callable[[CloudError | None], None]


class Phase(Enum):
    """Where a model stands on its instance."""

    LOADING = "is fetched, or the container loads it"
    LOADED = "takes requests"
    UNLOADING = "takes no more requests"


@dataclass(eq=False)
class Holding:
    """One model of one instance."""

    phase: Phase = Phase.LOADING
    # Requests that have it or wait for it.
    in_hand: int = 0
    waiters: list[Ready] = field(default_factory=list)
    size_bytes: int = 0
    # When it was used last, as a number that grows.
    used: int = 0
    # It waits for another to go.
    is_stuck: bool = False

    @property
    def is_loaded(self) -> bool:
        """Whether it takes requests."""
        return self.phase is Phase.LOADED


def choose_victim(holdings: Mapping[str, Holding]) -> str | None:
    """Return the model that was used longest ago among those that no request needs."""
    idle = [model for model, each in holdings.items() if each.is_loaded and not each.in_hand]
    return min(idle, key=lambda model: holdings[model].used, default=None)


def can_hope(holdings: Mapping[str, Holding], model: str) -> bool:
    """Say whether room may come for a model: others are there that do not wait for room, too."""
    return any(not each.is_stuck for other, each in holdings.items() if other != model)


def is_over(holdings: Mapping[str, Holding], limit_bytes: float) -> bool:
    """Say whether the models, as far as their sizes are known, are more than an instance has."""
    return sum(each.size_bytes for each in holdings.values()) > limit_bytes
