"""The loop that keeps one instance alive: look, ask `life.step`, act.

It starts a container, pings it, and when the container is lost ends it and starts another. Whoever
asked for the instance waits for `first_health`; after that every change is told through
`on_change`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from windtunnel.cloud.fleet import health
from windtunnel.cloud.fleet.container import Container, LaunchError
from windtunnel.cloud.fleet.health import Pulse
from windtunnel.cloud.fleet.instance import Instance, StartFailedError
from windtunnel.cloud.fleet.life import Event, Life, Phase, step
from windtunnel.cloud.fleet.logs import Log
from windtunnel.core import limits
from windtunnel.core.clock import Clock

logger = logging.getLogger(__name__)


class Attendant:
    """Looks after one instance from its first start to its stop."""

    def __init__(
        self,
        instance: Instance,
        launch: Callable[[int], Awaitable[Container]],
        log: Log,
        clock: Clock,
        on_change: Callable[[Instance], None],
    ) -> None:
        self.stop_grace_s = limits.STOP_GRACE_S
        self.first_health: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._instance = instance
        self._launch = launch
        self._log = log
        self._clock = clock
        self._on_change = on_change
        self._life = Life()
        self._last_loss = ""

    async def run(self) -> None:
        """Keep the instance alive until it fails for good or this is cancelled."""
        number = 0
        while True:
            number += 1
            await self._live(number)
            if self._life.phase is Phase.FAILED:
                self.first_health.set_exception(StartFailedError(self._failure()))
                # Taken note of: whoever asked may have given up.
                self.first_health.exception()
                return
            delay_s = self._life.restart_delay_s
            self._say(f"{self._last_loss}; starting again in {delay_s:.1f} s")
            await asyncio.sleep(delay_s)
            self._step(Event.DUE)

    async def _live(self, number: int) -> None:
        """Start one container and stay with it until it is lost."""
        self._instance.start_count = number
        self._say(f"start {number} of {self._instance.id} on cores {self._instance.cpus}")
        try:
            container = await self._launch(number)
        except (LaunchError, OSError) as error:
            self._last_loss = str(error)
            is_final = isinstance(error, LaunchError) and error.is_final
            self._step(Event.REFUSED if is_final else Event.ENDED)
            return
        self._instance.is_foreign = container.is_foreign
        self._instance.root_pid = container.root_pid
        deadline_s = self._clock.monotonic_s() + self._instance.spec.startup_timeout_s
        grace_s = 0.0
        try:
            while True:
                event, addresses = await self._look(container)
                is_overdue = self._clock.monotonic_s() >= deadline_s
                if event is Event.SILENT and is_overdue and self._life.phase is Phase.STARTING:
                    event = Event.OVERDUE
                self._step(event)
                if self._life.phase not in {Phase.STARTING, Phase.HEALTHY}:
                    self._last_loss = self._describe(event, container)
                    # What hangs has had its time; it gets a little more, not half a minute.
                    grace_s = limits.CLOSE_GRACE_S
                    return
                self._publish(is_healthy=self._life.phase is Phase.HEALTHY, addresses=addresses)
                await container.wait_changed(self._interval_s())
        except asyncio.CancelledError:
            grace_s = self.stop_grace_s
            # Whoever ends an instance knows that it ends.
            self._on_change = _ignore
            raise
        finally:
            self._publish(is_healthy=False, addresses=())
            self._instance.root_pid = None
            await container.stop(grace_s)

    async def _look(self, container: Container) -> tuple[Event, tuple[str, ...]]:
        """Return what is to be seen now, and the addresses that may be sent to."""
        addresses = container.addresses
        pulses = await asyncio.gather(*map(health.ping, addresses))
        # Asked after the pings: what ended meanwhile did not just keep silent.
        if container.refusal is not None:
            return Event.REFUSED, ()
        if container.end is not None:
            return Event.ENDED, ()
        if addresses and all(pulse is Pulse.ANSWERED for pulse in pulses):
            return Event.ANSWERED, addresses
        pairs = zip(addresses, pulses, strict=True)
        # A busy server may miss a ping and still work; one that is gone only loses requests.
        alive = tuple(address for address, pulse in pairs if pulse is not Pulse.GONE)
        return Event.SILENT, alive or addresses

    def _interval_s(self) -> float:
        if self._life.phase is Phase.STARTING:
            return limits.PING_INTERVAL_STARTING_S
        return limits.PING_INTERVAL_SERVING_S

    def _step(self, event: Event) -> None:
        self._life = step(self._life, event, self._clock.monotonic_s())

    def _publish(self, *, is_healthy: bool, addresses: tuple[str, ...]) -> None:
        instance = self._instance
        addresses = addresses if is_healthy else ()
        if (instance.is_healthy, instance.addresses) == (is_healthy, addresses):
            return
        instance.is_healthy = is_healthy
        instance.addresses = addresses
        if not self.first_health.done():
            self._say("healthy")
            self.first_health.set_result(None)
            return
        self._say("healthy" if is_healthy else "not healthy")
        try:
            self._on_change(instance)
        except Exception:
            # The instance's life goes on whatever its listener does.
            logger.exception("on_change of %s failed", instance.id)

    def _describe(self, event: Event, container: Container) -> str:
        if event is Event.REFUSED:
            return str(container.refusal)
        if event is Event.ENDED:
            return str(container.end)
        if event is Event.OVERDUE:
            timeout_s = self._instance.spec.startup_timeout_s
            return f"it did not answer /ping with 200 within {timeout_s:.0f} s of its start"
        return f"it did not answer /ping {limits.PING_FAILURE_COUNT_MAX} times in a row"

    def _failure(self) -> str:
        count = self._life.crash_count
        times = f" {count} times in a row" if count > 1 else ""
        what = f"The container failed{times}: {self._last_loss.rstrip('.')}."
        # A container that says why it cannot serve has said what its log says.
        tail = self._log.tail() if count else ""
        quote = f" Its last lines: {tail}" if tail else ""
        return f"{what} Log: {self._log.path}.{quote}"

    def _say(self, text: str) -> None:
        self._log.say(text, self._clock.now_s())


def _ignore(_: Instance) -> None:
    pass
