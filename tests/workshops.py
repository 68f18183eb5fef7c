"""A workshop for rooms that only pass jobs on: it makes nothing, and says that it has."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from windtunnel.cloud.jobs.records import CompilationJob, Product


class IdleWorkshop:
    """Ends every job at once, but for those whose name says that they are held."""

    async def tidy(self) -> None:
        """Tidy nothing."""

    @contextlib.asynccontextmanager
    async def bench(self, job: CompilationJob) -> AsyncIterator[CompilationJob]:
        """Hold a place for a job."""
        yield job

    def say(self, bench: CompilationJob, text: str) -> None:
        """Say nothing."""

    async def make(self, bench: CompilationJob) -> dict[str, Any]:
        """Make nothing; for as long as it is not stopped when it is held."""
        if "held" in bench.name:
            await asyncio.Event().wait()
        return {"derived_data_input_config": '{"inputs": [1, 2]}'}

    async def deliver(self, bench: CompilationJob, made: dict[str, Any]) -> Product:
        """Deliver nothing."""
        return Product("ab" * 64, made["derived_data_input_config"])
