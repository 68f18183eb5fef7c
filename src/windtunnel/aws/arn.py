"""Amazon Resource Names: `arn:partition:service:region:account:resource`.

SageMaker writes the names of models, endpoint configs and endpoints in lower case there
(amazon-sagemaker-examples#293: endpoint `DEMO-image…` is `endpoint/demo-image…`), so a name and the
same name in other letters are one resource.
"""

from dataclasses import dataclass

_PARTS = 6


@dataclass(frozen=True)
class Arn:
    """One name, in its parts; `resource` keeps its own slashes and colons."""

    service: str
    region: str
    account_id: str
    resource: str
    partition: str = "aws"

    def __str__(self) -> str:
        return (
            f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"
        )

    @classmethod
    def parse(cls, text: str) -> "Arn | None":
        """Return the parts of a name, None when it is none."""
        parts = text.split(":", _PARTS - 1)
        if len(parts) < _PARTS or parts[0] != "arn":
            return None
        _, partition, service, region, account_id, resource = parts
        return cls(service, region, account_id, resource, partition)


def sagemaker_arn(region: str, account_id: str, kind: str, name: str) -> str:
    """Return the name of a SageMaker resource: `model`, `endpoint-config` or `endpoint`."""
    return str(Arn("sagemaker", region, account_id, f"{kind}/{name.lower()}"))
