"""What a real container prints, read through the real Logs API."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.play import Client, Maker

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

# Says what it was sent, on stderr and stdout, unbuffered and in halves.
TALKER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_GET(self): self.answer(200, b"")
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        os.write(1, b"got "); os.write(1, text.encode() + b"\\n")
        if text == "fail":
            print("ERROR: told to fail", file=sys.stderr, flush=True)
            self.answer(400, b"told to")
        else:
            self.answer(200, text.encode())
    def answer(self, status, body):
        self.send_response(status); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
print("ready", flush=True)
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def _until(ask: Callable[[], Any]) -> Any:
    """Ask until there is an answer."""
    deadline_s = time.monotonic() + 20
    while not (answer := ask()):
        assert time.monotonic() < deadline_s, "nothing came"
        time.sleep(0.02)
    return answer


def _messages(logs: Any, group: str, stream: str) -> list[str]:
    answer = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    return [event["message"] for event in answer["events"]]


def test_a_containers_words_are_found_where_its_errors_point(client: Client, make: Maker) -> None:
    """A failed invocation names a log group; what the model said about it stands there."""
    name = make.command(TALKER, count=2)
    logs, runtime = client("logs"), client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as caught:
        runtime.invoke_endpoint(EndpointName=name, Body=b"fail")
    group = f"/aws/sagemaker/Endpoints/{name}"
    assert caught.value.response["LogStreamArn"].endswith(f":log-group:{group}")
    assert f"logEventViewer:group={group} in account" in str(caught.value)
    _until(lambda: logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"])
    [found] = _until(
        lambda: logs.filter_log_events(logGroupName=group, filterPattern='"ERROR: told"')["events"]
    )
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert [each["logStreamName"].partition("/")[0] for each in streams] == ["AllTraffic"] * 2
    assert found["logStreamName"] in [each["logStreamName"] for each in streams]
    lines = _messages(logs, group, found["logStreamName"])
    assert lines[-2:] == ["got fail", "ERROR: told to fail"]
    assert "ready" in lines
    # The logs of an endpoint outlive it.
    make.delete(name)
    assert _messages(logs, group, found["logStreamName"])[: len(lines)] == lines
    logs.delete_log_group(logGroupName=group)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []


def test_a_log_is_followed_while_it_is_written(client: Client, make: Maker) -> None:
    """What `tail -f` on a log does: every line once, in order, by the tokens."""
    name = make.command(TALKER)
    logs, runtime = client("logs"), client("sagemaker-runtime")
    group = f"/aws/sagemaker/Endpoints/{name}"
    # A group comes with the first line that is written to it.
    _until(lambda: logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"])
    [stream] = _until(lambda: logs.describe_log_streams(logGroupName=group)["logStreams"])
    request = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
    answer = logs.get_log_events(**request, startFromHead=True)
    seen: list[str] = [event["message"] for event in answer["events"]]
    for number in range(5):
        runtime.invoke_endpoint(EndpointName=name, Body=f"line {number}".encode())

        def more() -> Any:
            nonlocal answer
            answer = logs.get_log_events(
                **request, startFromHead=True, nextToken=answer["nextForwardToken"]
            )
            return answer["events"]

        seen += [event["message"] for event in _until(more)]

    assert [line for line in seen if line.startswith("got ")] == [f"got line {n}" for n in range(5)]
