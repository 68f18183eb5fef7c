"""boto3 clients of the API, by two roads; behind it real rooms over fakes of fleet and router.

Requests are serialised, retried, paginated and waited for by boto3. By the first road each is
handed to `Api.answer` on a loop of its own, and everything of boto3 is real but the socket. By the
second they go where an unmodified client sends them, to AWS's own hosts over TLS, and the proxy
leads them to the gateway, which proves their signatures. What is held to here is the contract
between a client and this cloud, whatever lies behind it.
"""

import asyncio
import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.loaders import Loader
from tests.workshops import IdleWorkshop

from windtunnel.cloud.autoscaling.service import AutoScaling
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.fleet.instance import Instance, InstanceSpec, StartFailedError
from windtunnel.cloud.foundation.callers import Callers, set_current_caller
from windtunnel.cloud.foundation.iam import Iam
from windtunnel.cloud.foundation.s3.client import S3Client
from windtunnel.cloud.foundation.s3.service import Service
from windtunnel.cloud.foundation.s3.storage import Storage
from windtunnel.cloud.foundation.sts import Sts
from windtunnel.cloud.gateway.answers import Answer
from windtunnel.cloud.gateway.api import Api
from windtunnel.cloud.gateway.gateway import Gateway
from windtunnel.cloud.gateway.proxy.authority import Authority
from windtunnel.cloud.gateway.proxy.proxy import Proxy
from windtunnel.cloud.gateway.signature import read_claim
from windtunnel.cloud.gateway.steps import body_steps, head_steps
from windtunnel.cloud.jobs.workshop import Workshop
from windtunnel.cloud.logs.service import Logs
from windtunnel.cloud.router.router import Router
from windtunnel.cloud.router.routes import VariantRoute
from windtunnel.cloud.sagemaker.service import SageMaker
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import SystemClock
from windtunnel.core.home import Home
from windtunnel.http.message import Head
from windtunnel.http.server import serve

_REGION = "us-east-1"


class _Fleet:
    """Starts instances at once, but for those whose environment says that they fail."""

    async def start(self, spec: InstanceSpec, on_change: Callable[[Instance], None]) -> Instance:
        if "FAIL" in spec.environment:
            raise StartFailedError(spec.environment["FAIL"])
        instance = Instance(spec, Path("/nonexistent"))
        instance.is_healthy = True
        return instance

    async def stop(self, instance: Instance) -> None:
        instance.is_healthy = False


class _Router:
    """Takes routes for nothing."""

    def publish(self, endpoint_name: str, variants: Any) -> None:
        assert all(isinstance(variant, VariantRoute) for variant in variants)

    def withdraw(self, endpoint_name: str) -> None:
        pass

    async def wait_idle(self, endpoint_name: str, grace_s: float) -> bool:
        return True

    async def wait_drained(self, endpoint_name: str, instance_id: str, grace_s: float) -> bool:
        return True


class _S3:
    """Has every object whose key does not say otherwise."""

    async def head_object(self, bucket: str, key: str) -> object | None:
        return None if "missing" in key else object()

    async def has_prefix(self, bucket: str, prefix: str) -> bool:
        return "missing" not in prefix


class _Body:
    """A response's body, as botocore reads it from urllib3."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


class _OneProtocol(Loader):
    """Loads models of services that speak nothing else: botocore chooses by their list."""

    def __init__(self, protocol: str) -> None:
        super().__init__(
            extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
        )
        self._protocol = protocol

    def load_service_model(self, *names: Any, **options: Any) -> Any:
        model = super().load_service_model(*names, **options)
        if self._protocol in model.get("metadata", {}).get("protocols", ()):
            metadata = {**model["metadata"], "protocols": [self._protocol]}
            model = {**model, "metadata": metadata}
        return model


class Contract:
    """The API on a loop of its own, and boto3 clients of it."""

    def __init__(self, path: Path) -> None:
        self._home = Home(path)
        self._home.prepare()
        self._owner = self._home.credentials()
        self._clients: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.api = self._wait(self._open())

    async def _open(self) -> Api:
        self._store = await Store.open(self._home.database)
        archive = await Archive.open(self._home.metrics)
        self.cloudwatch = CloudWatch(SystemClock(), archive)
        self._sagemaker = SageMaker(
            self._store,
            _Fleet(),
            _Router(),
            cast("S3Client", _S3()),
            cast("Workshop", IdleWorkshop()),
            SystemClock(),
            region=_REGION,
        )
        await self._sagemaker.resume()
        clock = SystemClock()
        alarms = Alarms(self._store, self.cloudwatch, clock, region=_REGION)
        await alarms.load()
        self._scaling = AutoScaling(self._store, alarms, self._sagemaker, clock, region=_REGION)
        alarms.hand_actions_to(self._scaling.action_error)
        self._sagemaker.ask_before_updates(self._scaling.scaled_variants)
        await self._scaling.open()
        self._callers = Callers(self._owner)
        iam = await Iam.open(self._store, SystemClock())
        self.log_folder = self._home.logs
        self._logs = Logs(self.log_folder, SystemClock(), region=_REGION)
        return Api(
            {
                "sagemaker": self._sagemaker.operations(),
                "iam": iam.operations(),
                "sts": Sts(self._callers, iam, SystemClock()).operations(),
                "cloudwatch": {**self.cloudwatch.operations(), **alarms.operations()},
                "application-autoscaling": self._scaling.operations(),
                "logs": self._logs.operations(),
            }
        )

    def client(
        self,
        service: str,
        protocol: str | None = None,
        credentials: dict[str, Any] | None = None,
    ) -> Any:
        """Return a boto3 client whose requests go to the API.

        In a protocol if one is named, and with a session's credentials when they are given.
        """
        if protocol is None and credentials is None and service in self._clients:
            return self._clients[service]
        session = botocore.session.get_session()
        if protocol is not None:
            session.register_component("data_loader", _OneProtocol(protocol))
        told = credentials or {}
        client = boto3.Session(botocore_session=session).client(
            service,  # type: ignore[call-overload]  # boto3's stubs want a literal
            region_name=_REGION,
            aws_access_key_id=told.get("AccessKeyId", self._owner.access_key_id),
            aws_secret_access_key=told.get("SecretAccessKey", self._owner.secret_access_key),
            aws_session_token=told.get("SessionToken"),
            **self._road(),
        )
        self._connect(service, client)
        if protocol is None and credentials is None:
            self._clients[service] = client
        return client

    def _road(self) -> dict[str, Any]:
        """Return the options that lead a client here."""
        return {"config": Config(retries={"max_attempts": 0})}

    def _connect(self, service: str, client: Any) -> None:
        client.meta.events.register(
            "before-send", lambda request, **_: self._send(service, request)
        )

    def record(self, record: InvocationRecord) -> None:
        """Have the router's record of an invocation."""

        async def on_the_loop() -> None:
            self.cloudwatch.record(record)

        self._wait(on_the_loop())

    def close(self) -> None:
        """End the rooms and their loop."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        await self._scaling.close()
        await self._sagemaker.close()
        await self.cloudwatch.close()
        await self._logs.close()
        await self._store.close()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _answer(self, service: str, head: Head, body: bytes) -> Answer:
        claim = read_claim(head)
        assert claim is not None
        caller = self._callers.find(claim.access_key_id, claim.token)
        assert caller is not None, "signed with no key of this home"
        set_current_caller(caller)
        answer: Answer = await self.api.answer(service, head, body)
        return answer

    def _send(self, service: str, request: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = [
            (
                name.lower().encode(),
                value if isinstance(value, bytes) else str(value).encode("latin-1"),
            )
            for name, value in request.headers.items()
        ]
        head = Head(request.method.encode(), target.encode(), headers, keep_alive=True)
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        answer = self._wait(self._answer(service, head, body))
        return AWSResponse(
            request.url,
            answer.status,
            cast("Any", {name.decode(): value.decode("latin-1") for name, value in answer.headers}),
            _Body(answer.body),
        )


class Proxied(Contract):
    """The same behind the gateway and its proxy, with S3 beside; clients know nothing of it."""

    async def _open(self) -> Api:
        api = await super()._open()
        clock = SystemClock()
        # A Unix socket's path must be shorter than pytest's own directories are.
        self._sockets = tempfile.TemporaryDirectory(prefix="contract-")
        socket = Path(self._sockets.name) / "s3"
        self._s3 = Service(Storage(self._home.objects, clock))
        self._s3_server = await serve(self._s3, path=str(socket))
        self._gateway = Gateway(
            api,
            head_steps(self._callers, clock, str(socket), limits.INVOKE_BODY_BYTES_MAX),
            body_steps(cast("Router", _Router())),
        )
        self._authority = Authority(self._home, clock)
        await self._authority.open()
        proxy = Proxy(self._gateway, self._authority, self._owner)
        self._server = await serve(proxy, host="127.0.0.1")
        proxy.port = self._server.port
        return api

    def _road(self) -> dict[str, Any]:
        proxies = {"https": f"http://127.0.0.1:{self._server.port}"}
        return {
            "config": Config(retries={"max_attempts": 0}, proxies=proxies),
            "verify": str(self._home.authority_certificate),
        }

    def _connect(self, service: str, client: Any) -> None:
        """Leave the client as it is."""

    async def _end(self) -> None:
        await self._server.drain(1.0)
        await self._gateway.close()
        self._authority.close()
        await self._s3_server.drain(1.0)
        await self._s3.close()
        await super()._end()
        self._sockets.cleanup()


@contextlib.contextmanager
def _opened(kind: type[Contract], path: Path) -> Iterator[Contract]:
    with pytest.MonkeyPatch.context() as patch:
        # Whatever is set up around the tests must not lead the clients elsewhere.
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(path / "none"))
        contract = kind(path)
        yield contract
        contract.close()


@pytest.fixture(scope="module", params=[Contract, Proxied], ids=["direct", "proxied"])
def contract(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Contract]:
    """The API of one module's tests, by each road."""
    with _opened(request.param, tmp_path_factory.mktemp("contract")) as opened:
        yield opened


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A boto3 client of S3 at AWS's own hosts, through the proxy."""
    with _opened(Proxied, tmp_path_factory.mktemp("s3")) as opened:
        yield opened.client("s3")


@pytest.fixture
def sagemaker(contract: Contract) -> Any:
    """A boto3 client of SageMaker."""
    return contract.client("sagemaker")


@pytest.fixture
def cloudwatch(contract: Contract) -> Any:
    """A boto3 client of CloudWatch."""
    return contract.client("cloudwatch")


@pytest.fixture
def logs(contract: Contract) -> Any:
    """A boto3 client of CloudWatch Logs."""
    return contract.client("logs")


@pytest.fixture
def iam(contract: Contract) -> Any:
    """A boto3 client of IAM."""
    return contract.client("iam")


@pytest.fixture
def sts(contract: Contract) -> Any:
    """A boto3 client of STS."""
    return contract.client("sts")
