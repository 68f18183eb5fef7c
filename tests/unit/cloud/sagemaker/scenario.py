"""A story about SageMaker's rooms: run it, and wait in it for what other tasks bring about."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

# Long enough for a slow machine; never waited for when all is well.
PATIENCE_S = 20.0


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Carry out a scenario in a loop of its own."""
    asyncio.run(scenario)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another task brings about."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


async def until_answered(ask: Callable[[], Any], wanted: object) -> None:
    """Wait until a question is answered as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while await ask() != wanted:
            await asyncio.sleep(0.001)
