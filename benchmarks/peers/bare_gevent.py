"""Prepared bytes over bare gevent sockets: a Python client that does less than this does nothing.

`bare_gevent.py URL CONNECTIONS` sends one signed request over and over and counts the bytes of the
answers, whose number it learned from the first. It records no times and looks at no status. Prints
one JSON line: requests a second, and CPU seconds a request.
"""

import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import gevent
import gevent.socket

from windtunnel.aws import sigv4
from windtunnel.lab.load.request import SignedRequest

_SETTLING_S = 0.5


def main() -> None:
    """Send until the time is over."""
    url, connections = sys.argv[1], int(sys.argv[2])
    request = SignedRequest(
        url=url,
        endpoint_name="unet",
        body=Path(os.environ["BODY_FILE"]).read_bytes(),
        content_type="application/json",
        accept=None,
        credentials=lambda: sigv4.Credentials("AKIDEXAMPLE", "secret"),
        region="us-east-1",
    )
    wire = request.wire(time.time())
    counts = [0] * connections
    greenlets = [gevent.spawn(_send, url, wire, counts, number) for number in range(connections)]
    gevent.sleep(_SETTLING_S)
    count, at_s, cpu_s = sum(counts), time.perf_counter(), time.process_time()
    gevent.sleep(float(os.environ["LENGTH_S"]))
    count, length_s = sum(counts) - count, time.perf_counter() - at_s
    cpu_s = time.process_time() - cpu_s
    gevent.killall(greenlets)
    print(json.dumps([count / length_s, cpu_s / count]))


def _send(url: str, wire: bytes, counts: list[int], number: int) -> None:
    parts = urlsplit(url)
    connection = gevent.socket.create_connection((parts.hostname, parts.port))
    connection.sendall(wire)
    buffer = memoryview(bytearray(256 * 1024))
    head = connection.recv(256 * 1024)
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(head.decode("latin-1"))
    start = head.index(b"content-length: ") + 16
    size = int(head[start : head.index(b"\r\n", start)]) + head.index(b"\r\n\r\n") + 4
    left = size - len(head)
    while True:
        while left > 0:
            left -= connection.recv_into(buffer)
        counts[number] += 1
        connection.sendall(wire)
        left = size


if __name__ == "__main__":
    main()
