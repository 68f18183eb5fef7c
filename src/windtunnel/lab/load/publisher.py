"""A run as Locust's own page, CSV files and report show it, and as Prometheus reads it.

Locust's statistics are fed with what our nodes measured, some times a second: latency counts from
when a request was due, to three significant digits. They hold what counts, nothing of the warm-up:
their totals are those of summary.json. Prometheus is told of everything, as it asks for rates over
a time of its own. The page shows a run; it does not steer it: the schedule is the command line's.

Importing this module imports Locust, which patches the process: only load processes do that.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask
import gevent
import numpy as np
from gevent.pywsgi import WSGIServer
from locust import stats as locust_statistics
from locust.html import get_html_report
from locust.runners import STATE_RUNNING, STATE_STOPPED

from windtunnel.lab.load import failures, locust_stats
from windtunnel.lab.load.locust_feed import METHOD
from windtunnel.lab.load.metrics import RunMetrics, application
from windtunnel.lab.load.outlets import Outlets
from windtunnel.lab.load.plan import Plan

if TYPE_CHECKING:
    from locust.env import Environment

    from windtunnel.lab.load.samples import Columns

_FLUSH_PERIOD_S = 0.5
# Locust writes its CSV files once a second: the last pass must have seen the last requests.
_LAST_PASS_S = locust_statistics.CSV_STATS_INTERVAL_SEC + 0.1


class Publisher:
    """Shows one run for as long as it goes on, and leaves files behind."""

    def __init__(
        self,
        outlets: Outlets,
        plan: Plan,
        environment: "Environment",
        interrupt: Callable[[], None],
    ) -> None:
        self._outlets = outlets
        self._plan = plan
        self._environment = environment
        self._interrupt = interrupt
        self._waiting: list[Columns] = []
        self._start_epoch_s = 0.0
        self._greenlets: list[gevent.Greenlet[..., None]] = []
        self._csv: locust_statistics.StatsCSVFileWriter | None = None
        self._metrics = RunMetrics(plan)
        self._kinds: Mapping[str, str] = {}
        environment.host = f"{plan.url}/endpoints/{plan.endpoint_name}"

    def open(self) -> None:
        """Start to listen, before the run begins."""
        outlets = self._outlets
        if outlets.ui_port is not None:
            page = self._environment.create_web_ui(
                outlets.host, outlets.ui_port, delayed_start=True
            )
            assert page.app is not None
            page.app.before_request(self._steer)
            page.start()  # type: ignore[no-untyped-call]
        if outlets.prometheus_port is not None:
            address = (outlets.host, outlets.prometheus_port)
            WSGIServer(address, application(self._metrics), log=None).start()

    def begin(self, start_epoch_s: float) -> None:
        """Take the run's start."""
        self._start_epoch_s = start_epoch_s
        runner = self._environment.runner
        assert runner is not None
        if self._outlets.has_locust:
            runner.stats.clear_all()
            # What rates are counted from.
            runner.stats.total.start_time = start_epoch_s + self._plan.schedule.warmup_s
            runner.update_state(STATE_RUNNING)
            self._greenlets.append(gevent.spawn(locust_statistics.stats_history, runner))
        if self._outlets.csv_prefix is not None:
            self._csv = _FilesWithFractions(
                self._environment,
                locust_statistics.PERCENTILES_TO_REPORT,
                self._outlets.csv_prefix,
            )
            self._greenlets.append(gevent.spawn(self._csv.stats_writer))
        self._greenlets.append(gevent.spawn(self._flush_for_ever))

    def take(self, columns: "Columns", kinds: Mapping[str, str]) -> None:
        """Take requests as they were just handed over; `kinds` of error, each with an example."""
        self._waiting.append(columns)
        # In their numbers' order.
        self._kinds = kinds

    def finish(self) -> None:
        """Write what stays of the run."""
        self._flush()
        runner = self._environment.runner
        assert runner is not None
        if self._csv is not None:
            gevent.sleep(_LAST_PASS_S)
        if self._outlets.has_locust:
            locust_statistics.update_stats_history(runner)
            runner.update_state(STATE_STOPPED)
        gevent.killall(self._greenlets)
        if self._csv is not None:
            self._csv.close_files()
        if self._outlets.html is not None:
            report = get_html_report(  # type: ignore[no-untyped-call]
                self._environment, show_download_link=False
            )
            Path(self._outlets.html).write_text(report, encoding="utf-8")
        if self._environment.web_ui is not None:
            with contextlib.suppress(OSError):
                self._environment.web_ui.stop()  # type: ignore[no-untyped-call]

    def _steer(self) -> Any:  # noqa: ANN401 - what Flask answers with
        """Answer the page's buttons that would make another run of this one."""
        path = flask.request.path
        if path.endswith("/stop"):
            self._interrupt()
            return flask.jsonify({"success": True, "message": "The run ends; it is kept."})
        if path.endswith("/swarm"):
            message = "The schedule is the command line's: start `windtunnel load` anew."
            return flask.jsonify({"success": False, "message": message})
        if path.endswith("/stats/reset"):
            return "A run is counted as a whole."
        return None

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(_FLUSH_PERIOD_S)
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        columns = {name: np.concatenate([each[name] for each in waiting]) for name in waiting[0]}
        if self._outlets.prometheus_port is not None:
            self._metrics.add(columns, list(self._kinds))
        if not self._outlets.has_locust:
            return
        is_counted = ~np.isnan(columns["sent_s"])
        is_counted &= columns["due_s"] >= self._plan.schedule.warmup_s
        if not is_counted.any():
            return
        sent = {name: column[is_counted] for name, column in columns.items()}
        batch = locust_stats.Batch(
            latency_s=sent["done_s"] - sent["due_s"],
            size=sent["bytes"],
            failure=sent["error"],
            ended_s=sent["done_s"] + self._start_epoch_s,
        )
        stats = self._environment.stats
        shown = [failures.told(kind, example) for kind, example in self._kinds.items()]
        name = self._plan.endpoint_name
        locust_stats.add(stats, METHOD, name, batch, list(self._kinds), shown)


class _FilesWithFractions(locust_statistics.StatsCSVFileWriter):
    """Locust's CSV files, which would else cut percentiles to whole milliseconds."""

    def _percentile_fields(self, stats_entry: Any, use_current: bool = False) -> list[Any]:  # noqa: ANN401, FBT001, FBT002 - Locust's own
        # Current ones are of a full history, which nobody asks for here.
        assert not use_current
        if not stats_entry.num_requests:
            return self.percentiles_na
        return [
            stats_entry.get_response_time_percentile(share) for share in self.percentiles_to_report
        ]
