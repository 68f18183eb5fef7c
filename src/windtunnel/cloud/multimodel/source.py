"""Where a variant's models lie, and what each of them takes of an instance.

Pure: names in, names out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from windtunnel.cloud.fleet.images import image_kind
from windtunnel.cloud.fleet.memory import Demand
from windtunnel.cloud.fleet.model_data import split_url

_ID_LENGTH = 32


@dataclass(frozen=True)
class ModelSource:
    """A variant whose requests name their model: an object below a prefix of S3."""

    endpoint_name: str
    variant_name: str
    # ModelDataUrl.
    url: str
    # Whether models stay loaded; else each goes when its requests have been answered.
    is_cached: bool
    download_timeout_s: float
    image: str
    environment: Mapping[str, str]
    instance_type: str

    def locate(self, model: str) -> tuple[str, str]:
        """Return the bucket and the key of a model that a request names."""
        bucket, prefix = split_url(self.url, is_prefix=True)
        key = model.lstrip("/")
        # With or without a slash at the end of one and the beginning of the other: the SDK's
        # list_models gives names with one when the prefix has none.
        return bucket, f"{prefix.rstrip('/')}/{key}" if prefix.rstrip("/") else key

    def size_bytes(self, unpacked_bytes: int) -> int:
        """Return how much memory a model takes that unpacks to so much."""
        return Demand(image_kind(self.image), self.environment, unpacked_bytes).size_bytes


def model_id(model: str) -> str:
    """Return the name by which a container knows a model: "an opaque identifier" (the contract)."""
    return hashlib.sha256(model.encode()).hexdigest()[:_ID_LENGTH]
