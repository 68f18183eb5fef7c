"""The local cloud: its parts, wired; its start and its end.

Read `opened` for what there is and what leans on what, and the two lists in `gateway/steps.py` for
what happens to a request.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cloud.autoscaling.service import AutoScaling
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.sampler import Sampler
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.exposition import Exposition
from windtunnel.cloud.fleet.fleet import Fleet
from windtunnel.cloud.foundation.callers import Callers
from windtunnel.cloud.foundation.iam import Iam
from windtunnel.cloud.foundation.s3.client import S3Client
from windtunnel.cloud.foundation.s3.process import S3Process
from windtunnel.cloud.foundation.sts import Sts
from windtunnel.cloud.gateway.api import Api
from windtunnel.cloud.gateway.gateway import Gateway
from windtunnel.cloud.gateway.proxy.authority import Authority
from windtunnel.cloud.gateway.proxy.proxy import Proxy
from windtunnel.cloud.gateway.scrapes import Scrapes
from windtunnel.cloud.gateway.steps import body_steps, head_steps
from windtunnel.cloud.gateway.throttle import Throttle
from windtunnel.cloud.jobs.workshop import Workshop
from windtunnel.cloud.logs.service import Logs
from windtunnel.cloud.multimodel.instance_models import InstanceModels
from windtunnel.cloud.multimodel.load_times import LoadTimes
from windtunnel.cloud.pace import INSTANT, Pace
from windtunnel.cloud.router.router import Router
from windtunnel.cloud.sagemaker.service import SageMaker
from windtunnel.cloud.store.store import Store
from windtunnel.cloud.tempo import REAL, Tempo
from windtunnel.core import limits
from windtunnel.core.clock import Clock, SystemClock
from windtunnel.core.errors import NotReadyError
from windtunnel.core.home import CloudRecord, Home
from windtunnel.core.supervision import Supervisor, new_generation, sweep
from windtunnel.http.server import Server, serve

log = logging.getLogger(__name__)

# Requests in flight when the cloud is told to end.
_DRAIN_GRACE_S = 5.0
# A thread that computes (a search in logs, a large answer) lets the gateway's loop in after this
# long; Python's default is 5 ms, which a request would wait at each of its steps.
_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True)
class Options:
    """What `windtunnel up` was told."""

    home: Home
    host: str = "127.0.0.1"
    port: int = 0
    region: str = "us-east-1"
    payload_limit: int = limits.INVOKE_BODY_BYTES_MAX
    # What ends when whoever needs this cloud is gone (`core/lifeline.py`).
    lifeline: int | None = None
    pace: Pace = INSTANT
    tempo: Tempo = REAL


async def run(options: Options) -> None:
    """Run the local cloud until SIGTERM or SIGINT; nothing of it stays behind."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.lifeline is not None:
        # Nothing is ever written to it: readable means that its other end was closed.
        loop.add_reader(options.lifeline, stop.set)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    async with opened(options) as url:
        # What is there now stays: looking through it for garbage again and again would stop the
        # gateway for 50 ms each time.
        gc.collect()
        gc.freeze()
        # Programs wait for this line on stdout; nothing else is ever written there.
        sys.stdout.write(f"ready {url}\n")
        sys.stdout.flush()
        await stop.wait()
        log.info("Stopping.")


@contextlib.asynccontextmanager
async def opened(options: Options) -> AsyncIterator[str]:
    """Hold a local cloud open in this process; the value is its URL."""
    home = options.home
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(home.locked())
        # What a killed cloud wrote down: from here on a record means that this one answers.
        home.forget_record()
        generation = new_generation(home.id)
        swept = sweep(home.id, generation)
        if swept:
            log.warning("Ended %d processes that an earlier cloud of this home left.", swept)
        socket_directory = stack.enter_context(home.socket_directory())
        supervisor = Supervisor(generation)
        stack.callback(supervisor.close)
        stack.push_async_callback(supervisor.stop_all, limits.STOP_GRACE_S)
        clock = SystemClock()

        s3_socket = socket_directory / "s3.sock"
        s3_process = S3Process(supervisor, home, s3_socket)
        stack.push_async_callback(s3_process.close)
        await s3_process.open()

        store = await Store.open(home.database)
        stack.push_async_callback(store.close)
        cloudwatch = await _cloudwatch(options, clock)
        await stack.enter_async_context(cloudwatch)
        fleet = Fleet(
            home,
            supervisor,
            s3_socket,
            socket_directory,
            clock,
            # How long an instance takes is no secret.
            provision_s=functools.partial(options.pace.start_s, random.Random()),  # noqa: S311
        )
        stack.push_async_callback(fleet.close)
        router = _router(options, clock, cloudwatch, fleet)
        stack.callback(router.close)
        sampler = Sampler(
            clock, cloudwatch, router.loads, fleet.healthy_instances, home.path, options.tempo
        )
        await stack.enter_async_context(sampler)
        sagemaker = _sagemaker(options, store, fleet, router, supervisor, s3_socket, clock)
        stack.push_async_callback(sagemaker.close)
        alarms, scaling = await _scaling(options, store, cloudwatch, sagemaker, clock, stack)
        logs = Logs(
            home.logs, clock, region=options.region, visible_after_s=options.pace.log_delay_s
        )
        stack.push_async_callback(logs.close)
        callers = Callers(home.credentials())
        iam = await Iam.open(store, clock)
        api = Api(
            {
                "sagemaker": sagemaker.operations(),
                "iam": iam.operations(),
                "sts": Sts(callers, iam, clock).operations(),
                "cloudwatch": {**cloudwatch.operations(), **alarms.operations()},
                "application-autoscaling": scaling.operations(),
                "logs": logs.operations(),
            },
            Throttle(options.pace.rate_of, clock),
        )

        gateway = Gateway(
            api,
            head_steps(callers, clock, str(s3_socket), options.payload_limit),
            body_steps(router),
            Scrapes(Exposition(cloudwatch, router.loads, fleet.instances).render),
        )
        proxy = Proxy(gateway, await _authority(home, clock, stack), home.credentials())
        server = await _listening(proxy, options)
        proxy.port = server.port
        stack.push_async_callback(gateway.close)
        stack.push_async_callback(server.drain, _DRAIN_GRACE_S)

        fleet.open()
        await sagemaker.resume()
        await scaling.open()
        url = f"http://{options.host}:{server.port}"
        home.write_record(_record(options, url, generation))
        stack.callback(home.forget_record)
        yield url


def _record(options: Options, url: str, generation: str) -> CloudRecord:
    """Return what others are to know of this cloud."""
    factor, is_instant = float(options.tempo.factor), options.pace.is_instant
    return CloudRecord(url, os.getpid(), generation, factor, options.region, is_instant)


def _sagemaker(
    options: Options,
    store: Store,
    fleet: Fleet,
    router: Router,
    supervisor: Supervisor,
    s3_socket: Path,
    clock: Clock,
) -> SageMaker:
    fetch = functools.partial(fleet.fetch, form="object")
    workshop = Workshop(options.home, supervisor, s3_socket, fetch, clock)
    s3 = S3Client(s3_socket)
    return SageMaker(store, fleet, router, s3, workshop, clock, region=options.region)


def _router(options: Options, clock: Clock, cloudwatch: CloudWatch, fleet: Fleet) -> Router:
    report = LoadTimes(cloudwatch, clock).report
    return Router(
        clock,
        cloudwatch,
        region=options.region,
        answer_bytes_max=options.payload_limit,
        open_models=functools.partial(
            InstanceModels, fetch=fleet.fetch, report=report, clock=clock
        ),
    )


async def _cloudwatch(options: Options, clock: Clock) -> CloudWatch:
    return CloudWatch(
        clock,
        await Archive.open(options.home.metrics),
        visible_after_s=options.pace.metric_delay_s,
        keeps_seconds=options.tempo.is_warped,
    )


async def _authority(home: Home, clock: Clock, stack: contextlib.AsyncExitStack) -> Authority:
    authority = Authority(home, clock)
    stack.callback(authority.close)
    await authority.open()
    return authority


async def _scaling(
    options: Options,
    store: Store,
    cloudwatch: CloudWatch,
    sagemaker: SageMaker,
    clock: Clock,
    stack: contextlib.AsyncExitStack,
) -> tuple[Alarms, AutoScaling]:
    region, tempo = options.region, options.tempo
    alarms = Alarms(store, cloudwatch, clock, region=region, tempo=tempo)
    await alarms.load()
    scaling = AutoScaling(store, alarms, sagemaker, clock, region=region, tempo=tempo)
    alarms.hand_actions_to(scaling.action_error)
    sagemaker.ask_before_updates(scaling.scaled_variants)
    stack.push_async_callback(scaling.close)
    return alarms, scaling


async def _listening(proxy: Proxy, options: Options) -> Server:
    try:
        return await serve(proxy, host=options.host, port=options.port)
    except OSError as error:
        raise NotReadyError(
            f"Cannot listen on {options.host}:{options.port} ({error.strerror}): "
            "choose another port with --port, or 0 for any free one."
        ) from error
