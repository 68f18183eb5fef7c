"""Stands in for `tensorflow_model_server`, which no package registry carries.

Takes its flags, answers its status and predict calls over REST for a model that halves and adds
two, and writes down what it was told: one line of JSON per start to $FAKE_TFS_RECORD.
"""

import json
import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

flags = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
config = Path(flags["model_config_file"]).read_text(encoding="utf-8")
batching = flags.get("batching_parameters_file")
with Path(os.environ["FAKE_TFS_RECORD"]).open("a", encoding="utf-8") as record:
    told = {
        "pid": os.getpid(),
        "flags": flags,
        "config": config,
        "batching": Path(batching).read_text(encoding="utf-8") if batching else None,
        "omp": os.environ.get("OMP_NUM_THREADS"),
    }
    record.write(json.dumps(told) + "\n")
names = re.findall(r'name: "([^"]+)"', config)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name not in names:
            self.answer(404, {"error": f"Could not find any versions of model {name}"})
        else:
            self.answer(200, {"model_version_status": [{"version": "123", "state": "AVAILABLE"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(float(os.environ.get("FAKE_TFS_DELAY_S", "0")))
        if self.path.partition(":")[0].split("/")[3] not in names:
            self.answer(404, {"error": f"Servable not found for request: {self.path}"})
        elif not all(isinstance(value, int | float) for value in body["instances"]):
            self.answer(400, {"error": "not numbers"})
        else:
            self.answer(200, {"predictions": [value / 2 + 2 for value in body["instances"]]})

    def answer(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


ThreadingHTTPServer(("127.0.0.1", int(flags["rest_api_port"])), Handler).serve_forever()
