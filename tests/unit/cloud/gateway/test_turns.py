"""Large bodies between small requests."""

import asyncio

from windtunnel.cloud.gateway.turns import Turns


def test_one_stream_goes_in_each_round_of_the_loop() -> None:
    """Ten uploads at once must not keep an invocation waiting for ten reads in a row."""
    seen: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns(loop)
        for name in "abc":
            turns.wait(lambda name=name: seen.append(name))  # type: ignore[misc]
        for _ in range(4):
            await asyncio.sleep(0)
            seen.append("|")

    asyncio.run(scenario())

    assert "".join(seen) == "a|b|c||"


def test_a_stream_that_fails_costs_the_others_nothing() -> None:
    """One broken connection must not leave the rest of the uploads waiting for ever."""
    seen: list[str] = []

    def broken() -> None:
        raise ConnectionError

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: seen.append("failed"))
        turns = Turns(loop)
        turns.wait(broken)
        turns.wait(lambda: seen.append("went"))
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(scenario())

    assert seen == ["failed", "went"]
