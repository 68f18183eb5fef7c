"""SageMaker's contract with the standard library: GET /ping, POST /invocations, one port.

    {"instances": [[…], …]}  ->  {"predictions": ["setosa", …]}

Runs in the unpacked archive's folder, here and (behind a Dockerfile's CMD) on SageMaker.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import joblib

MODEL = joblib.load("model.joblib")


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    # Head and body leave together; otherwise each answer would wait for the client's kernel.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer /ping: the model is there, or this program would not run."""
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self) -> None:
        """Answer /invocations."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/invocations":
            self.answer(404, {})
            return
        try:
            instances = json.loads(body)["instances"]
            self.answer(200, {"predictions": MODEL.predict(instances).tolist()})
        except (ValueError, KeyError, TypeError) as error:
            self.answer(400, {"error": str(error)})

    def answer(self, status: int, document: object) -> None:
        """Send one answer."""
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests: CloudWatch counts them."""


class Server(ThreadingHTTPServer):
    """Waits at its end for the answers that are owed."""

    daemon_threads = False
    request_queue_size = 128


if __name__ == "__main__":
    # The platform has stopped sending by then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # SageMaker's port is 8080; Windtunnel says which one.
    Server(("", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), Handler).serve_forever()
