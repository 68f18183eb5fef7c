"""The leader's half of a container of many models: it starts and ends what serves each of them.

Each model is a container within the container: a fork of this process that leads model servers and,
with a script, workers of its own, exactly as for an archive that is served alone. So a model that
cannot be loaded, crashes or leaks takes no other along.

Rule: this runs in the leader, which has one thread and must stay able to fork: nothing here waits.
"""

import contextlib
import errno
import functools
import json
import logging
import select
import shutil
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from windtunnel.core import limits
from windtunnel.core.free_memory import available_bytes
from windtunnel.serving.children import Reports
from windtunnel.serving.container import Order, run_container
from windtunnel.serving.errors import ArchiveError, RequestError, ServingError
from windtunnel.serving.leader import Leader, Role
from windtunnel.serving.meters import FILE_NAME
from windtunnel.serving.models import choose_models, list_files
from windtunnel.serving.multimodel import messages
from windtunnel.serving.multimodel.admission import Demand, check_name, check_room, demand_of
from windtunnel.serving.scripts.archive import choose_script
from windtunnel.serving.settings import Settings, one_model_environment

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Model:
    """One model that is loaded, or is coming or going."""

    name: str
    url: str
    # What people call it.
    label: str
    role: Role
    demand: Demand
    # Where its processes listen.
    sockets: Path
    # Empty while it is loading.
    addresses: tuple[str, ...] = ()
    # The request that waits for it to come or go.
    request_id: str | None = None


class Shelf:
    """The models of a container, by name."""

    def __init__(
        self, order: Order, settings: Settings, leader: Leader, channel: socket.socket
    ) -> None:
        assert settings.multi_model is not None
        self._order = order
        self._settings = settings
        self._rules = settings.multi_model
        self._leader = leader
        channel.setblocking(False)
        self._channel = channel
        self._models: dict[str, _Model] = {}
        self._count = 0

    # --- the door -------------------------------------------------------------------------------

    def read(self) -> None:
        """Carry out what the door has ordered."""
        for message in messages.waiting(self._channel):
            try:
                self._obey(message)
            except RequestError as error:
                self._refuse(message["id"], error.status, error.message)

    def _obey(self, message: Mapping[str, Any]) -> None:
        if "load" in message:
            self._load(message["load"], message["url"], message["label"], message["id"])
        elif "unload" in message:
            self._unload(message["unload"], message["id"])
        else:
            for model in self._models.values():
                self._tell_loaded(model)
            self._send({"told": True})

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode()
        # A door that hangs does not hold up the leader; its successor asks for what it missed.
        with contextlib.suppress(OSError):
            if select.select([], [self._channel], [], limits.CLOSE_GRACE_S)[1]:
                self._channel.send(data)

    def _tell_loaded(self, model: _Model) -> None:
        if model.addresses and model.role.kill_at_s is None:
            self._send(
                {
                    "loaded": model.name,
                    "url": model.url,
                    "label": model.label,
                    "addresses": model.addresses,
                    "meters": str(model.sockets / FILE_NAME),
                }
            )

    def _refuse(self, request_id: str | None, status: int, message: str) -> None:
        self._answer(request_id, status, {"error": message[: limits.FAILURE_REASON_LENGTH_MAX]})

    def _answer(self, request_id: str | None, status: int, answer: Mapping[str, str]) -> None:
        if request_id is not None:
            self._send({"id": request_id, "status": status, "answer": answer})

    # --- models ---------------------------------------------------------------------------------

    def _load(self, name: str, url: str, label: str, request_id: str) -> None:
        check_name(name, self._models)
        demand = self._measure(name, Path(url))
        # What is being loaded has not grown yet.
        promised = sum(
            each.demand.size_bytes for each in self._models.values() if not each.addresses
        )
        check_room(self._rules, len(self._models), demand, available_bytes() - promised)
        self._count += 1
        sockets = self._order.socket_dir / str(self._count)
        inner = replace(
            self._order,
            model_dir=Path(url),
            environment=one_model_environment(self._order.environment, self._settings),
            socket_dir=sockets,
            port=None,
            shared_dir=self._order.model_dir,
            name=name,
        )
        role = Role(f"model {name}", functools.partial(_run_one, inner), self._count)
        model = _Model(name, url, label, role, demand, sockets, request_id=request_id)
        role.on_available = functools.partial(self._note_loaded, model)
        role.on_gone = functools.partial(self._note_gone, model)
        logger.info("loading model %s from %s", name, url)
        try:
            sockets.mkdir(mode=0o700)
            self._leader.add(role)
        except OSError as error:
            shutil.rmtree(sockets, ignore_errors=True)
            is_full = error.errno in (errno.ENOMEM, errno.EAGAIN)
            reason = "Memory exhausted: " if is_full else ""
            raise RequestError(
                f"{reason}no process could be started for the model: {error}.",
                507 if is_full else 500,
            ) from error
        self._models[name] = model

    def _measure(self, name: str, folder: Path) -> Demand:
        """Return what a folder's model will take; refuse a folder that holds none."""
        try:
            files = list_files(folder)
            choose_models(files, None)
            model_bytes = sum(_size_bytes(folder, path) for path in files)
        except (ArchiveError, OSError) as error:
            raise RequestError(
                f"Could not find valid base path {folder} for servable {name}: {error}", 404
            ) from error
        has_script = choose_script(files) is not None or (self._order.model_dir / "code").is_dir()
        return demand_of(model_bytes, self._settings, has_script=has_script)

    def _unload(self, name: str, request_id: str) -> None:
        model = self._models.get(name)
        if model is None or model.role.kill_at_s is not None:
            raise RequestError(f"Model {name} is not loaded yet.", 404)
        if not model.addresses:
            self._refuse(model.request_id, 500, f"Model {name} was unloaded while it was loading.")
        model.request_id = request_id
        # From here on it gets no more requests; those that it has it may answer.
        self._send({"gone": name})
        self._leader.dismiss(model.role)

    def _note_loaded(self, model: _Model, report: Mapping[str, Any]) -> None:
        model.addresses = tuple(report["addresses"])
        self._tell_loaded(model)
        self._answer(model.request_id, 200, {"success": f"Successfully loaded model {model.name}."})
        model.request_id = None

    def _note_gone(self, model: _Model, reason: str | None) -> None:
        del self._models[model.name]
        shutil.rmtree(model.sockets, ignore_errors=True)
        if reason is None:
            said = f"Successfully unloaded model {model.name}."
            self._answer(model.request_id, 200, {"success": said})
            return
        self._send({"gone": model.name})
        self._refuse(model.request_id, 408 if model.role.is_overdue else 500, reason)


def _size_bytes(folder: Path, path: PurePosixPath) -> int:
    return (folder / path).stat().st_size


class _Within:
    """Tells the outer leader of a container within it, in the words it knows."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def send(self, event: str, **details: object) -> None:
        """Take one event of the inner container."""
        self._reports.send("available" if event == "listening" else event, **details)


def _run_one(order: Order, reports: Reports, lifeline: int) -> int:
    """Serve one model; runs in a process of its own, which starts the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return run_container(order, _Within(reports), lifeline)
    except ServingError as error:
        logger.error("%s", error)  # noqa: TRY400 - a sentence, no traceback
        reports.send("failed", reason=str(error))
        return 1
