"""Each invocation ends in exactly one outcome and one record, whatever its container does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.errors import (
    CloudError,
    InvalidError,
    ModelError,
    ThrottledError,
    UnavailableError,
    UnreadyError,
)
from windtunnel.cloud.fleet.downloads import ModelData
from windtunnel.cloud.multimodel.instance_models import InstanceModels
from windtunnel.cloud.multimodel.source import ModelSource
from windtunnel.cloud.router import router as router_module
from windtunnel.cloud.router.router import Invocation, Router, Wish
from windtunnel.cloud.router.routes import InstanceRoute, VariantRoute
from windtunnel.core import limits
from windtunnel.core.clock import SystemClock
from windtunnel.http.message import Headers

pytestmark = pytest.mark.slow

REQUEST = b"POST /invocations HTTP/1.1\r\nhost: model\r\ncontent-length: 2\r\n\r\nhi"


class Records:
    """Keeps every record."""

    def __init__(self) -> None:
        self.kept: list[InvocationRecord] = []

    def record(self, record: InvocationRecord) -> None:
        self.kept.append(record)


class Outcome:
    """Waits for one invocation."""

    def __init__(self) -> None:
        self.future: asyncio.Future[tuple[bytes, str]] = asyncio.get_running_loop().create_future()

    def on_result(
        self, invocation: Invocation, headers: Headers, chunks: list[bytes], size: int
    ) -> None:
        assert size == sum(map(len, chunks))
        self.future.set_result((b"".join(chunks), invocation.variant.name))

    def on_error(self, invocation: Invocation, error: CloudError) -> None:
        self.future.set_exception(error)


class Container:
    """A model server on a Unix socket that answers what it is told to, when it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = f"unix:{path}"
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        self.gate = asyncio.Event()
        self.gate.set()
        self.taken = 0

    async def open(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, self.path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readexactly(len(REQUEST))
                self.taken += 1
                await self.gate.wait()
                if not self.answer:
                    break
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


Play = Callable[[Router, list[Container], Records], Awaitable[None]]


def play(tmp_path: Path, count: int, scene: Play) -> None:
    """Run a scene with a router and some containers, one endpoint `e` in front of them."""

    async def run() -> None:
        records = Records()
        router = Router(SystemClock(), records, region="eu-west-1")
        containers = [Container(tmp_path / f"{number}.sock") for number in range(count)]
        for container in containers:
            await container.open()
        router.publish("e", (variant(containers),))
        async with asyncio.timeout(20):
            await scene(router, containers, records)
        router.close()
        for container in containers:
            container.gate.set()
            container.server.close()
        await asyncio.sleep(0.01)

    uvloop.run(run())


def variant(containers: list[Container]) -> VariantRoute:
    instances = tuple(InstanceRoute(each.path.name, (each.address,)) for each in containers)
    return VariantRoute("AllTraffic", 1.0, instances)


def invoke(router: Router, outcome: Outcome) -> Invocation:
    return router.invoke("e", [REQUEST], 2, time.monotonic(), outcome)


def test_an_answer_comes_back_with_its_variant_and_is_recorded(tmp_path: Path) -> None:
    """What CloudWatch shows is what really went through."""

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        for _ in range(3):
            outcome = Outcome()
            invoke(router, outcome)
            assert await outcome.future == (b"ok", "AllTraffic")
        assert containers[0].taken == 3
        assert [record.status for record in records.kept] == [200, 200, 200]
        latencies = [record.model_latency_s or 0 for record in records.kept]
        assert all(latency_s > 0 for latency_s in latencies)
        # Counted in microseconds, as CloudWatch shows them, and not in the loop's milliseconds.
        assert any(latency_s * 1000 % 1 > 0.001 for latency_s in latencies)

    play(tmp_path, 1, scene)


def test_what_is_in_flight_is_told_by_instance(tmp_path: Path) -> None:
    """ConcurrentRequestsPerModel counts what an instance works on and what waits inside it."""

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        for container in containers:
            container.gate.clear()
        outcomes = [Outcome() for _ in range(3)]
        for outcome in outcomes:
            invoke(router, outcome)
        (load,) = router.loads()
        assert (load.endpoint_name, load.variant_name) == ("e", "AllTraffic")
        assert sorted(load.in_flight_by_instance) == ["0.sock", "1.sock"]
        assert sorted(load.in_flight_by_instance.values()) == [1, 2]
        for container in containers:
            container.gate.set()
        for outcome in outcomes:
            await outcome.future
        (load,) = router.loads()
        assert load.in_flight_by_instance == {"0.sock": 0, "1.sock": 0}
        router.withdraw("e")
        assert router.loads() == []

    play(tmp_path, 2, scene)


@pytest.mark.parametrize(
    ("answer", "status", "part"),
    [
        (
            b'HTTP/1.1 400 Bad Request\r\ncontent-length: 17\r\n\r\n{"error": "shape"}'[:-1],
            400,
            'Received client error (400) from primary with message "{"error": "shape"". See '
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
            "#logEventViewer:group=/aws/sagemaker/Endpoints/e in account 000000000000 for more "
            "information.",
        ),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", 500, "Received server error (500)"),
        (b"", 0, "could not get a response from the e endpoint"),
        (b"SSH-2.0-OpenSSH\r\n", 0, "not valid HTTP"),
    ],
)
def test_a_failing_container_is_told_in_awss_words(
    tmp_path: Path, answer: bytes, status: int, part: str
) -> None:
    """Handlers written for SageMaker look for these words and fields."""

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        containers[0].answer = answer
        outcome = Outcome()
        invoke(router, outcome)
        with pytest.raises(ModelError) as caught:
            await outcome.future
        assert caught.value.status == status
        assert part in caught.value.message
        assert [record.is_model_error for record in records.kept] == [True]
        assert [record.model_status for record in records.kept] == [status or None]

    play(tmp_path, 1, scene)


def test_a_container_that_does_not_answer_in_time_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hung model costs its request a minute, not for ever."""
    monkeypatch.setattr(limits, "MODEL_TIMEOUT_S", 0.02)
    monkeypatch.setattr(router_module, "_SWEEP_INTERVAL_S", 0.01)

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        containers[0].gate.clear()
        outcome = Outcome()
        invoke(router, outcome)
        with pytest.raises(ModelError, match="timed out while waiting"):
            await outcome.future
        assert len(records.kept) == 1

    play(tmp_path, 1, scene)


def test_requests_beyond_the_queue_are_throttled_and_what_leaves_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overloaded endpoint says so at once instead of growing without end."""
    monkeypatch.setattr(limits, "INVOKE_QUEUE_COUNT_MAX", 2)

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        containers[0].gate.clear()
        outcomes = [Outcome(), Outcome()]
        held = [invoke(router, outcome) for outcome in outcomes]
        with pytest.raises(ThrottledError):
            invoke(router, Outcome())
        held[0].abandon()
        third = Outcome()
        invoke(router, third)
        containers[0].gate.set()
        assert (await third.future)[0] == b"ok"
        assert (await outcomes[1].future)[0] == b"ok"
        assert not outcomes[0].future.done()
        assert sorted(record.status for record in records.kept) == [200, 200, 499]

    play(tmp_path, 1, scene)


def test_busy_instances_are_passed_over(tmp_path: Path) -> None:
    """One stuck instance of two must not hold up half the traffic."""

    async def scene(router: Router, containers: list[Container], _: Records) -> None:
        containers[0].gate.clear()
        stuck = [Outcome(), Outcome()]
        for outcome in stuck:
            invoke(router, outcome)
        while containers[0].taken + containers[1].taken < 2:
            await asyncio.sleep(0.001)
        for _number in range(6):
            outcome = Outcome()
            invoke(router, outcome)
            assert (await outcome.future)[0] == b"ok"
        assert containers[0].taken == 1
        containers[0].gate.set()
        for outcome in stuck:
            assert (await outcome.future)[0] == b"ok"

    play(tmp_path, 2, scene)


def test_a_withdrawn_endpoint_takes_nothing_new_and_cuts_nothing_old(tmp_path: Path) -> None:
    """Deleting an endpoint under load must not break what it already took."""

    async def scene(router: Router, containers: list[Container], _: Records) -> None:
        containers[0].gate.clear()
        outcome = Outcome()
        invoke(router, outcome)
        router.withdraw("e")
        with pytest.raises(InvalidError, match="Endpoint e of account 000000000000 not found."):
            invoke(router, Outcome())
        assert not await router.wait_idle("e", 0.01)
        containers[0].gate.set()
        assert (await outcome.future)[0] == b"ok"
        assert await router.wait_idle("e", 1)

    play(tmp_path, 1, scene)


def test_an_endpoint_without_healthy_instances_says_so(tmp_path: Path) -> None:
    """A client can tell a restart (try again) from a wrong name (do not)."""

    async def scene(router: Router, containers: list[Container], _: Records) -> None:
        router.publish("e", (VariantRoute("AllTraffic", 1.0, ()),))
        with pytest.raises(UnavailableError):
            invoke(router, Outcome())
        router.publish("e", (variant(containers),))
        outcome = Outcome()
        invoke(router, outcome)
        assert (await outcome.future)[0] == b"ok"

    play(tmp_path, 1, scene)


def test_a_container_that_is_not_there_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    """Between a crash and its notice, requests get a clear answer."""

    async def scene(router: Router, _: list[Container], records: Records) -> None:
        gone = InstanceRoute("i-gone", (f"unix:{tmp_path}/gone.sock",))
        router.publish("e", (VariantRoute("AllTraffic", 1.0, (gone,)),))
        outcome = Outcome()
        invoke(router, outcome)
        with pytest.raises(ModelError, match="cannot connect"):
            await outcome.future
        assert len(records.kept) == 1

    play(tmp_path, 1, scene)


def test_a_target_variant_overrides_the_weights(tmp_path: Path) -> None:
    """Testing a new model by name must reach it, however little traffic it gets."""

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        a, b = (
            VariantRoute(name, weight, variant([container]).instances)
            for name, weight, container in zip("ab", (1.0, 0.0), containers, strict=True)
        )
        router.publish("e", (a, b))
        outcome = Outcome()
        now_s = time.monotonic()
        router.invoke("e", [REQUEST], 2, now_s, outcome, Wish("b"))
        _, name = await outcome.future
        with pytest.raises(InvalidError, match="Variant c of endpoint e not found"):
            router.invoke("e", [REQUEST], 2, now_s, Outcome(), Wish("c"))

        assert name == "b"
        assert [each.variant_name for each in records.kept] == ["b"]

    play(tmp_path, 2, scene)


def test_a_random_variant_does_not_mind_who_is_busy(tmp_path: Path) -> None:
    """RANDOM is what a user compares LEAST_OUTSTANDING_REQUESTS with."""

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        route = variant(containers)
        router.publish("e", (VariantRoute(route.name, 1.0, route.instances, is_random=True),))
        for container in containers:
            container.gate.clear()
        points = iter((0.9, 0.9, 0.9, 0.1))
        router._choose_point = lambda: next(points)
        outcomes = [Outcome() for _ in range(4)]
        lanes = [invoke(router, outcome).lane.address for outcome in outcomes]
        for container in containers:
            container.gate.set()
        await asyncio.gather(*(outcome.future for outcome in outcomes))

        first, second = (container.address for container in containers)
        assert lanes == [second, second, second, first]

    play(tmp_path, 2, scene)


def test_an_instance_is_drained_when_its_last_request_has_ended(tmp_path: Path) -> None:
    """An old fleet may end only when nobody waits for it any more."""

    async def scene(router: Router, containers: list[Container], records: Records) -> None:
        old, new = containers
        router.publish("e", (variant([old]),))
        old.gate.clear()
        outcome = Outcome()
        invoke(router, outcome)
        router.publish("e", (variant([new]),))
        too_soon = await router.wait_drained("e", old.path.name, 0.01)
        waiting = asyncio.create_task(router.wait_drained("e", old.path.name, 10))
        later = Outcome()
        served_by = invoke(router, later).lane.address
        await later.future
        assert not waiting.done()
        old.gate.set()
        await outcome.future

        assert not too_soon
        assert served_by == new.address
        assert await waiting
        assert await router.wait_drained("nobody", old.path.name, 10)

    play(tmp_path, 2, scene)


def test_a_model_that_is_long_in_coming_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS's clients retry on ModelNotReadyException; one whose client left costs nothing more."""
    monkeypatch.setattr(limits, "MODEL_TIMEOUT_S", 0.02)
    monkeypatch.setattr(router_module, "_SWEEP_INTERVAL_S", 0.01)

    async def run() -> None:
        async def never(url: str, timeout_s: float) -> ModelData:
            await asyncio.Event().wait()
            raise AssertionError

        def open_models(source: ModelSource, address: str) -> InstanceModels:
            return InstanceModels(source, address, never, lambda *_: None, SystemClock())

        records = Records()
        router = Router(SystemClock(), records, region="eu-west-1", open_models=open_models)
        source = ModelSource("e", "v", "s3://b/m/", True, 60.0, "local/command", {}, "ml.c5.large")
        route = InstanceRoute("i", (f"unix:{tmp_path / 'nobody'}",))
        router.publish("e", (VariantRoute("v", 1.0, (route,), source=source),))
        outcome, left = Outcome(), Outcome()
        now_s = time.monotonic()
        router.invoke("e", [REQUEST], 2, now_s, left, Wish(model="a")).abandon()
        router.invoke("e", [REQUEST], 2, now_s, outcome, Wish(model="a"))
        with pytest.raises(UnreadyError, match="The model a is still being downloaded or loaded"):
            await outcome.future
        router.close()

        assert [each.status for each in records.kept] == [499, 429]
        assert all(each.model_latency_s is None for each in records.kept)
        assert not left.future.done()

    uvloop.run(run())
