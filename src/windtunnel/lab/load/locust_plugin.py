"""Runs a user's own Locust and watches it: what a run does is counted, and its faults are named.

A program of its own, in the Python that Locust is installed in, whichever that is: it imports the
standard library, Locust, and the rules beside it. It sends nothing, changes no figure, and listens
to no request: of boto3 calls it counts as they pass; all else it asks Locust for, now and then.
Workers send what they counted along with their reports to the master, who says it.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
if sys.path and Path(sys.path[0] or ".").resolve() == _HERE:
    # Modules beside this one have everyday names: none must be found in the place of another.
    sys.path[0] = str(Path(sys.argv[1]).resolve().parent)

import functools  # noqa: E402
import runpy  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from windtunnel.lab.load import locust_watch as rules
else:
    _spec = importlib.util.spec_from_file_location("locust_watch", _HERE / "locust_watch.py")
    rules = importlib.util.module_from_spec(_spec)
    # Dataclasses look their own module up.
    sys.modules[_spec.name] = rules
    _spec.loader.exec_module(rules)

# In a worker's report: no key of Locust's own.
_KEY = "windtunnel_watch"
# On what is counted once.
_MARK = "_windtunnel_watched"
# Users come and go by the second; looking twice as often sees them all.
_LOOK_PERIOD_S = 0.5
_RUN_TIME_VARIABLE = "LOCUST_RUN_TIME"


class Watch:
    """One Locust process, watched from its start."""

    def __init__(self, environment: Any, runner: Any) -> None:  # noqa: ANN401 - Locust's own
        self._environment = environment
        self._runner = runner
        role = type(runner).__name__
        self._has_users = role != "MasterRunner"
        self._is_head = role != "WorkerRunner"
        self._seen = rules.Seen()
        self._of_workers: dict[str, rules.Seen] = {}
        self._users_asked = 0
        self._users_reached = 0
        self._cpu_percent = 0.0
        self._workers: set[str] = set()
        self._workers_missed: set[str] = set()
        events = environment.events
        for event in ("test_start", "spawning_complete", "test_stopping"):
            if hasattr(events, event):
                getattr(events, event).add_listener(self._look)
        if not self._is_head:
            events.report_to_master.add_listener(self._report)
        else:
            events.worker_report.add_listener(self._take)
            # The last event of all, after Locust's own tables; older Locusts have only the other.
            (events.quit if hasattr(events, "quit") else events.quitting).add_listener(self._end)
        self._look()

    def begin(self) -> None:
        """Say what can be said before the run, and look again from time to time."""
        import gevent

        options = self._environment.parsed_options
        starts_itself = getattr(options, "headless", False) or getattr(options, "autostart", False)
        if self._is_head and starts_itself and self._environment.shape_class is None:
            workers = 1 if self._has_users else options.expect_workers
            hurried = [kind.__name__ for kind in self._runner.user_classes if _is_hurried(kind)]
            asked = rules.Asked(
                users=options.num_users or 1,
                spawn_rate=options.spawn_rate,
                run_time_s=options.run_time,
                workers=workers,
                hurried=tuple(hurried),
            )
            _say(*rules.before(asked))
        gevent.spawn(self._keep_looking)

    def _keep_looking(self) -> None:
        import gevent

        while True:
            gevent.sleep(_LOOK_PERIOD_S)
            self._look()

    def _look(self, **_: object) -> None:
        users = self._runner.user_count
        asked = getattr(self._runner, "target_user_count", 0)
        # Users of a load shape come and go as it says.
        if self._environment.shape_class is None:
            self._users_asked = max(self._users_asked, asked)
        self._users_reached = max(self._users_reached, users)
        self._cpu_percent = max(self._cpu_percent, self._runner.current_cpu_usage)
        for worker in getattr(self._runner, "clients", {}).values():
            self._workers.add(worker.id)
            # As locust.runners names its states.
            if worker.state == "missing":
                self._workers_missed.add(worker.id)
        if self._has_users:
            self._seen.users = self._users_reached
            self._seen.cpu_percent = self._cpu_percent
            _count_calls(self._seen)

    def _report(self, data: dict[str, Any], **_: object) -> None:
        self._look()
        data[_KEY] = dataclasses.asdict(self._seen)

    def _take(self, client_id: str, data: dict[str, Any], **_: object) -> None:
        if _KEY in data:
            self._of_workers[client_id] = rules.Seen(**data[_KEY])

    def _end(self, **_: object) -> None:
        sizeless = [
            entry.name
            for entry in self._environment.stats.entries.values()
            if entry.num_requests > entry.num_failures and entry.total_content_length == 0
        ]
        outcome = rules.Outcome(
            users_asked=self._users_asked,
            users_reached=self._users_reached,
            processes=(self._seen,) if self._has_users else tuple(self._of_workers.values()),
            master_cpu_percent=None if self._has_users else self._cpu_percent,
            workers=len(self._workers),
            workers_missed=len(self._workers_missed),
            sizeless=tuple(sizeless),
        )
        _say(*rules.after(outcome))


def _is_hurried(user_class: Any) -> bool:  # noqa: ANN401 - Locust's own
    """Say whether the users of a class never wait."""
    import locust

    # A set of tasks may have a wait time of its own.
    has_sets = any(hasattr(task, "tasks") for task in user_class.tasks)
    return not has_sets and user_class.wait_time is locust.User.wait_time


def _count_calls(seen: rules.Seen) -> None:
    """Count InvokeEndpoint calls from now on, if boto3 is there by now."""
    client: Any = sys.modules.get("botocore.client")
    # By its class: clients that a locustfile made while it was loaded are counted, too.
    if client is None or hasattr(client.BaseClient._make_api_call, _MARK):  # noqa: SLF001
        return
    original: Any = client.BaseClient._make_api_call  # noqa: SLF001

    @functools.wraps(original)
    def counted(self: Any, operation_name: str, api_params: dict[str, Any]) -> Any:  # noqa: ANN401
        if not operation_name.startswith("InvokeEndpoint"):
            return original(self, operation_name, api_params)
        seen.invocations += 1
        seen.empty += _is_empty(api_params.get("Body"))
        if _MARK not in self.__dict__:
            self.__dict__[_MARK] = True
            seen.clients += 1
        answer = original(self, operation_name, api_params)
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        seen.answered += headers.get("content-length") != "0"
        return answer

    setattr(counted, _MARK, True)
    client.BaseClient._make_api_call = counted  # noqa: SLF001


def _is_empty(body: Any) -> bool:  # noqa: ANN401 - whatever boto3 takes
    """Say whether a request's body sends nothing."""
    try:
        if hasattr(body, "read"):
            here = body.tell()
            end = body.seek(0, os.SEEK_END)
            body.seek(here)
            return bool(here >= end)
        return len(body) == 0
    except (OSError, TypeError, ValueError, AttributeError):
        # What cannot be measured is not called empty.
        return False


def _watch(environment: Any, runner: Any, **_: object) -> None:  # noqa: ANN401 - Locust's own
    try:
        Watch(environment, runner).begin()
    except Exception as error:  # noqa: BLE001 - a Locust of another time must still run
        _say(f"this Locust is not watched: {error!r}")


def _say(*sentences: str) -> None:
    for sentence in sentences:
        sys.stderr.write(f"windtunnel: {sentence}\n")
    sys.stderr.flush()


def main(script: str, arguments: list[str]) -> None:
    """Run Locust as its own script does."""
    arguments, remarks = rules.mended(arguments)
    told = os.environ.get(_RUN_TIME_VARIABLE, "")
    better = rules.mended_run_time(told)
    if better is not None:
        os.environ[_RUN_TIME_VARIABLE] = better
        remarks.append(rules.of_run_time(told, better))
    if "--worker" not in arguments:
        _say(*remarks)
    # First of all, as everywhere: it patches what others use.
    import locust

    events: Any = locust.events
    events.init.add_listener(_watch)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
