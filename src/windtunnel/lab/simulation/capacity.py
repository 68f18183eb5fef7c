"""What one instance can do, as a load run found it; and what that may be called."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.core.errors import UsageError


@dataclass(frozen=True)
class Capacity:
    """Requests a second of one instance, whose word that is, and how far it speaks for AWS."""

    rps: float
    source: str
    # `measured` on AWS, `stand-in` on this machine, `given` by the user.
    fidelity: str
    # How long a request took there, for metrics of concurrency; None where nobody measured.
    service_s: float | None = None


def given(rps: float) -> Capacity:
    """Return a capacity that the user named."""
    return Capacity(rps, "--capacity-rps", "given")


def of_run(path: Path) -> Capacity:
    """Return what a load run found, a search for capacity or a single run, on how many instances.

    A single run shows what was reached, which is no more than a lower bound.
    """
    summary = _summary(path)
    try:
        search = summary.get("capacity")
        rate_rps = search["rate_rps"] if search else summary["throughput_rps"]
        if rate_rps is None or (not search and not summary["valid"]):
            raise UsageError(f"The load run in {path} found no capacity: it does not say a rate.")
        hardware = summary["hardware"]
        count = _instance_count(hardware["instances"])
        how = "a search for capacity" if search else "a run, which is no more than a lower bound"
        return Capacity(
            rate_rps / count,
            f"{path}, {how}" + (f", over {count} instances" if count > 1 else ""),
            hardware["fidelity"],
            (summary.get("service_s") or {}).get("p50"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} does not hold a load run's summary: {error} is wrong.") from error


def _summary(path: Path) -> dict[str, Any]:
    file = path / "summary.json" if path.is_dir() else path
    try:
        found = json.loads(file.read_text())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise UsageError(f"{file} is not JSON.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{file} does not hold a load run's summary.")
    return found


def _instance_count(instances: str) -> int:
    """Return how many instances a run's hardware names, as `hardware.fidelity` writes them."""
    total = 0
    for part in instances.split(", "):
        number, times, _ = part.partition(" x ")
        if times and number.isdigit():
            total += int(number)
    return max(total, 1)
