"""From what a container shall be to one plan for each `tensorflow_model_server`."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from windtunnel.core.processor import core_count
from windtunnel.serving.errors import SettingsError
from windtunnel.serving.gpus import choose_share, count_gpus
from windtunnel.serving.meters import MeterPlan
from windtunnel.serving.models import Models
from windtunnel.serving.ports import HOST, ServerPorts, claim_ports
from windtunnel.serving.settings import Settings
from windtunnel.serving.tfs import command
from windtunnel.serving.tfs.server import TfsPlan


def find_program(environment: Mapping[str, str]) -> str:
    """Return the binary's path, or say what to install."""
    found = shutil.which(command.PROGRAM, path=environment.get("PATH"))
    if found is None:
        raise SettingsError(command.NOT_FOUND)
    return found


def choose_ports(settings: Settings) -> list[ServerPorts]:
    """Return free ports for each server, let go again: the binary binds them by itself."""
    ports = claim_ports(settings.port_range, settings.server_count)
    for pair in ports:
        pair.close()
    return ports


def rest_addresses(ports: Sequence[ServerPorts]) -> list[str]:
    """Return where the servers' REST APIs are."""
    return [f"tcp:{HOST}:{pair.rest_port}" for pair in ports]


def make_plans(
    settings: Settings,
    models: Models,
    model_dir: Path,
    work_dir: Path,
    ports: Sequence[ServerPorts],
    environment: Mapping[str, str],
    meters: MeterPlan,
    grpc_port: int | None,
) -> Iterator[TfsPlan]:
    """Write the files that the servers are told by; yield what each of them is to be.

    With `grpc_port` all of them share it, as gRPC's servers do unless they are told otherwise.
    """
    program = find_program(environment)
    files = command.Files(work_dir / "models.config", work_dir / "batching.config")
    files.models.write_text(command.render_models(models, model_dir.resolve()), "utf-8")
    if settings.batching is not None:
        files.batching.write_text(command.render_batching(settings.batching, core_count()))
    for number, pair in enumerate(ports):
        yield TfsPlan(
            words=command.choose_words(
                program, settings, files, grpc_port or pair.grpc_port, pair.rest_port
            ),
            environment=command.choose_environment(
                choose_share(number, count_gpus(), settings.gpu_fraction).number, list(environment)
            ),
            statuses=[
                f"http://{HOST}:{pair.rest_port}/v1/models/{name}" for name in models.by_name
            ],
            meters=replace(meters, index=number),
        )
