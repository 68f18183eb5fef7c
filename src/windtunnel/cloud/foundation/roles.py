"""What a role is, and how it is kept."""

from dataclasses import asdict, dataclass, field
from typing import Any

from windtunnel.aws.arn import Arn
from windtunnel.cloud.foundation.callers import OWNER_ROLE_ID, OWNER_ROLE_NAME
from windtunnel.core.home import ACCOUNT_ID

# "the default value of one hour is applied" (botocore's page on CreateRole).
DEFAULT_SESSION_S = 3600
_OWNER_TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":'
    '"sagemaker.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
)


@dataclass(frozen=True)
class Role:
    """One role; policies are kept as they were given."""

    name: str
    id: str
    path: str
    trust_policy: str
    created_s: float
    description: str = ""
    max_session_s: int = DEFAULT_SESSION_S
    tags: dict[str, str] = field(default_factory=dict)
    # ARNs, in the order in which they were attached.
    attached: tuple[str, ...] = ()
    # Documents by name.
    inline: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """The role's name in full, with its path."""
        return str(Arn("iam", "", ACCOUNT_ID, f"role{self.path}{self.name}"))

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Role":
        """Return what `to_document` was made of."""
        return cls(**{**document, "attached": tuple(document["attached"])})


def owner_role(now_s: float) -> Role:
    """Return the role that every home has from the start: the one its owner appears in."""
    return Role(
        OWNER_ROLE_NAME,
        OWNER_ROLE_ID,
        "/",
        _OWNER_TRUST,
        now_s,
        "What the owner of this local cloud appears as, and a role for SageMaker to assume.",
        max_session_s=43_200,
        attached=("arn:aws:iam::aws:policy/AmazonSageMakerFullAccess",),
    )
