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


def variant(name: str, model: str, count: int = 1, weight: float = 1.0) -> dict[str, Any]:
    """Return the words of a variant of a config."""
    return {
        "variant_name": name,
        "model_name": model,
        "instance_type": "ml.c5.xlarge",
        "initial_instance_count": count,
        "initial_variant_weight": weight,
    }


async def make_config(rooms: Any, name: str, *variants: dict[str, Any]) -> None:
    """Make a config of some variants."""
    await rooms.call(
        "CreateEndpointConfig", endpoint_config_name=name, production_variants=list(variants)
    )


async def two_variants(rooms: Any) -> None:
    """Leave an endpoint `e` with the variants a (1 instance, weight 9) and b (1, weight 1)."""
    await rooms.create_model("m")
    await make_config(rooms, "c1", variant("a", "m", weight=9.0), variant("b", "m"))
    await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c1")
    await rooms.wait_status("e", "InService")


async def update(rooms: Any, config: str, **options: Any) -> None:
    """Ask for another config of the endpoint `e`."""
    await rooms.call("UpdateEndpoint", endpoint_name="e", endpoint_config_name=config, **options)


async def rescale(rooms: Any, **desired: dict[str, Any]) -> None:
    """Ask for other weights and counts of variants of `e`."""
    await rooms.call(
        "UpdateEndpointWeightsAndCapacities",
        endpoint_name="e",
        desired_weights_and_capacities=[
            {"variant_name": name, **values} for name, values in desired.items()
        ],
    )


def capacities(described: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return how many instances each variant has and is to have."""
    return {
        each["variant_name"]: (each["current_instance_count"], each["desired_instance_count"])
        for each in described["production_variants"]
    }
