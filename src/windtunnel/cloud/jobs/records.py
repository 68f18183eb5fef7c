"""What is remembered of a compilation job.

Records are values: a change makes a new one. A job keeps the request that made it, as it came,
because that is what describing it answers; where its output belongs follows from it.
"""

from dataclasses import dataclass, field, replace
from typing import Self

from windtunnel.cloud.jobs.lifecycle import SETTLED, Event, Status, next_status
from windtunnel.cloud.sagemaker.records import Document, Tags
from windtunnel.cloud.store.record import Record

# The longest FailureReason: "max": 1024 in botocore's model.
_REASON_CHARACTERS_MAX = 1024


@dataclass(frozen=True)
class Product:
    """What a job has made and delivered."""

    # BLAKE2, as AWS has it (botocore's page on ModelDigests).
    artifact_digest: str
    derived_data_input_config: str | None = None


@dataclass(frozen=True)
class CompilationJob(Record):
    """One CreateCompilationJob, in the state that was last committed."""

    name: str
    arn: str
    created_s: float
    modified_s: float
    request: Document
    status: Status = Status.STARTING
    tags: Tags = field(default_factory=dict)
    started_s: float | None = None
    ended_s: float | None = None
    failure_reason: str = ""
    product: Product | None = None

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return what `to_document` wrote."""
        product = document.get("product")
        return cls(
            **{
                **document,
                "status": Status(document["status"]),
                "product": None if product is None else Product(**product),
            }
        )

    def after(
        self,
        event: Event,
        now_s: float,
        *,
        failure_reason: str = "",
        product: Product | None = None,
    ) -> "CompilationJob | None":
        """Return what an event makes of it, None when it is gone."""
        status = next_status(self.status, event)
        if status is None:
            return None
        return replace(
            self,
            status=status,
            modified_s=now_s,
            started_s=now_s if event is Event.STARTED else self.started_s,
            ended_s=now_s if status in SETTLED else None,
            failure_reason=failure_reason[:_REASON_CHARACTERS_MAX],
            product=product,
        )
