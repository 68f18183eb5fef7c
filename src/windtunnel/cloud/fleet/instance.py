"""What the rest of the cloud knows of an instance, and what it takes to ask for one."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from windtunnel.cloud.fleet.model_data import Form
from windtunnel.core import limits

# How far a start came: to a place to run, to its model's data, into it, or to its container.
Stage = Literal["admission", "download", "extraction", "container"]


class StartFailedError(Exception):
    """An instance could not be brought up, with a reason that names what to do or where to look."""

    def __init__(self, reason: str, stage: Stage = "container") -> None:
        super().__init__(reason)
        self.reason = reason
        self.stage = stage


@dataclass(frozen=True)
class InstanceSpec:
    """What an instance shall be."""

    endpoint_name: str
    variant_name: str
    instance_type: str
    image: str
    environment: Mapping[str, str]
    model_data_url: str | None
    model_data_form: Form = "archive"
    download_timeout_s: float = limits.MODEL_DATA_TIMEOUT_S
    startup_timeout_s: float = limits.STARTUP_TIMEOUT_S
    # It starts without a model; each is brought when a request names it.
    is_multi_model: bool = False


class Instance:
    """One running stand-in for an ml.* instance; only the fleet changes it."""

    def __init__(self, spec: InstanceSpec, log_folder: Path) -> None:
        # EC2's form, with its 17 hexadecimal digits.
        self.id = f"i-{secrets.token_hex(9)[:17]}"
        self.spec = spec
        self.log_path = log_folder / spec.endpoint_name / spec.variant_name / f"{self.id}.log"
        self.addresses: tuple[str, ...] = ()
        self.is_foreign = False
        self.is_healthy = False
        # How often a container was started for it.
        self.start_count = 0
        self.cpus: tuple[int, ...] = ()
        # Its container's first process, None while it has none; everything below it belongs to it.
        self.root_pid: int | None = None
        # What its model data takes of the disk, unpacked.
        self.model_bytes = 0
