"""A model whose time is waiting: one slot, 100 ms a request, whatever the machine.

It stands in for an endpoint with an accelerator of its own, or one that asks somebody else. On a
machine of two cores a model that computes gains nothing from more instances, because they share
the cores; four of these answer four times as much, honestly.
"""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVICE_S = 0.1
SLOT = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests, those of all connections one after the other."""

    protocol_version = "HTTP/1.1"
    # Head and body leave together; otherwise each answer would wait for the client's kernel.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer /ping."""
        self.answer(b"")

    def do_POST(self) -> None:
        """Answer /invocations when the slot is free."""
        self.rfile.read(int(self.headers["Content-Length"]))
        with SLOT:
            time.sleep(SERVICE_S)
        self.answer(b'{"predictions": [1]}')

    def answer(self, body: bytes) -> None:
        """Send one answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests: CloudWatch counts them."""


class Server(ThreadingHTTPServer):
    """Waits at its end for the answers that are owed."""

    daemon_threads = False
    request_queue_size = 512


if __name__ == "__main__":
    # The platform has stopped sending by then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
