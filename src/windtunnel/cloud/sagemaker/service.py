"""SageMaker's control plane: its rooms, wired, and its operations by AWS's names."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from windtunnel.cloud.foundation.s3.client import S3Client
from windtunnel.cloud.jobs.compilation_jobs import CompilationJobs
from windtunnel.cloud.jobs.workshop import Workshop
from windtunnel.cloud.sagemaker.endpoint_configs import EndpointConfigs
from windtunnel.cloud.sagemaker.endpoints import Endpoints, ScaledVariants
from windtunnel.cloud.sagemaker.models import Models
from windtunnel.cloud.sagemaker.records import Endpoint
from windtunnel.cloud.sagemaker.roster import Fleet, Router
from windtunnel.cloud.sagemaker.tagging import Tagging
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import Clock

Operation = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class SageMaker:
    """What exists: models, endpoint configs, endpoints, compilation jobs and their tags."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        router: Router,
        s3: S3Client,
        workshop: Workshop,
        clock: Clock,
        *,
        region: str = "us-east-1",
    ) -> None:
        self._models = Models(store, s3, clock, region)
        self._configs = EndpointConfigs(store, self._models, clock, region)
        self._endpoints = Endpoints(
            store, fleet, router, self._models, self._configs, clock, region
        )
        self._jobs = CompilationJobs(store, workshop, clock, region)
        self._tagging = Tagging(self._models, self._configs, self._endpoints, self._jobs)
        self._is_ready = asyncio.Event()

    def operations(self) -> Mapping[str, Operation]:
        """Return what the API can ask for; answers wait until `resume` has read the store."""
        operations: dict[str, Operation] = {
            "CreateModel": self._models.create,
            "DescribeModel": self._models.describe,
            "ListModels": self._models.list,
            "DeleteModel": self._models.delete,
            "CreateEndpointConfig": self._configs.create,
            "DescribeEndpointConfig": self._configs.describe,
            "ListEndpointConfigs": self._configs.list,
            "DeleteEndpointConfig": self._configs.delete,
            "CreateEndpoint": self._endpoints.create,
            "DescribeEndpoint": self._endpoints.describe,
            "ListEndpoints": self._endpoints.list,
            "UpdateEndpoint": self._endpoints.update,
            "UpdateEndpointWeightsAndCapacities": (self._endpoints.update_weights_and_capacities),
            "DeleteEndpoint": self._endpoints.delete,
            "CreateCompilationJob": self._jobs.create,
            "DescribeCompilationJob": self._jobs.describe,
            "ListCompilationJobs": self._jobs.list,
            "StopCompilationJob": self._jobs.stop,
            "DeleteCompilationJob": self._jobs.delete,
            "AddTags": self._tagging.add,
            "ListTags": self._tagging.list,
            "DeleteTags": self._tagging.delete,
        }
        return {name: functools.partial(self._when_ready, run) for name, run in operations.items()}

    async def resume(self) -> None:
        """Read what the store has; take every endpoint and job up where it was left."""
        await self._models.records.load()
        await self._configs.records.load()
        await self._endpoints.records.load()
        await self._jobs.records.load()
        await self._endpoints.resume()
        await self._jobs.resume()
        self._is_ready.set()

    # --- for others in this process ---------------------------------------------------------------

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint as it was last committed."""
        return self._endpoints.records.find(name)

    def ask_before_updates(self, scaled_variants: ScaledVariants) -> None:
        """Learn from whoever scales which variants must keep their instance type."""
        self._endpoints.scaled_variants = scaled_variants

    async def set_instance_count(
        self, endpoint_name: str, variant_name: str, instance_count: int
    ) -> None:
        """Begin to give a variant another instance count, as its owner would."""
        desired = {"variant_name": variant_name, "desired_instance_count": instance_count}
        await self._endpoints.update_weights_and_capacities(
            {"endpoint_name": endpoint_name, "desired_weights_and_capacities": [desired]}
        )

    async def close(self) -> None:
        """Stop looking after the endpoints and jobs, without deleting anything."""
        await asyncio.gather(self._endpoints.close(), self._jobs.close())

    async def _when_ready(self, run: Operation, request: dict[str, Any]) -> dict[str, Any]:
        await self._is_ready.wait()
        return await run(request)
