"""A zygote without TensorFlow: the outside of the real one, for tests.

The variable MODE of an order says what becomes of the fork. A server that is healthy answers
GET /ping with 200 on as many sockets as the variable SERVERS says.
"""

import array
import http.server
import json
import os
import signal
import socket
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

from windtunnel.core.lifeline import die_with_parent, join_parent


class Ping(http.server.BaseHTTPRequestHandler):
    """Answers 200 unless the model's folder says otherwise."""

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(503 if os.environ.get("MODE") == "sick" else 200)
        self.end_headers()


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP on a Unix socket."""

    daemon_threads = True


def lead(order: dict[str, Any], parent: int, log: int, status: int) -> None:
    """Be a container's leader."""
    os.setsid()
    die_with_parent(parent)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.sched_setaffinity(0, order["cpus"])
    os.setpriority(os.PRIO_PROCESS, 0, order["nice"])
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["environment"])
    mode = os.environ.get("MODE", "ok")

    def say(**message: object) -> None:
        os.write(status, json.dumps(message).encode() + b"\n")

    os.write(1, f"leader serves {order['model_dir']}\n".encode())
    if mode == "refuse":
        say(event="failed", reason="the model has no signature.")
        os._exit(1)
    if mode == "crash":
        os.write(1, b"boom\n")
        os._exit(3)
    if mode == "nonsense":
        os.write(status, b"not json\n")
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    paths = [f"{order['socket_dir']}/{n}.sock" for n in range(int(os.environ.get("SERVERS", "1")))]
    for path in paths:
        threading.Thread(target=Server(path, Ping).serve_forever, args=(0.01,)).start()
    (Path(order["socket_dir"]) / "order.json").write_text(json.dumps(order))
    say(event="listening", addresses=[f"unix:{path}" for path in paths])
    signal.pause()
    os._exit(0)


class Zygote:
    """Takes orders, forks, and tells what became of the forks."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.names: dict[int, str] = {}

    def say(self, **message: object) -> None:
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def reap(self, *_: object) -> None:
        while self.names:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self.say(event="exited", id=self.names.pop(pid), pid=pid, status=code)

    def fork(self, order: dict[str, Any], log: int, status: int) -> None:
        zygote = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            self.control.close()
            lead(order, zygote, log, status)
        self.names[pid] = order["start"]
        os.close(log)
        os.close(status)
        self.say(event="started", id=order["start"], pid=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def obey(self) -> None:
        kept, descriptors = b"", array.array("i")
        while True:
            piece, ancillary, _, _ = self.control.recvmsg(65536, socket.CMSG_SPACE(8))
            if not piece:
                return
            for _, _, data in ancillary:
                descriptors.frombytes(data)
            *lines, kept = (kept + piece).split(b"\n")
            for line in lines:
                self.fork(json.loads(line), descriptors.pop(0), descriptors.pop(0))


def main() -> None:
    """Obey orders until the control socket ends."""
    join_parent()
    home = os.environ.get("HOME", "")
    if home == "/cold":
        sys.exit("cannot import tensorflow")
    zygote = Zygote(socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1])))
    if home == "/threads":
        zygote.say(event="failed", reason="importing left 3 threads")
        sys.exit(1)
    if home == "/mad":
        zygote.control.sendall(b"not json\n")
    signal.signal(signal.SIGCHLD, zygote.reap)
    zygote.say(event="warm")
    zygote.obey()


if __name__ == "__main__":
    main()
