"""What a script that does nothing costs: the U-Net through InvokeEndpoint, with and without one.

All endpoints are in one cloud, and get the same signed bytes over four connections. Rounds are
interleaved; a ratio is of two neighbours in a round. The promise is three quarters of the
throughput without a script.
"""

import io
import statistics
import tarfile
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import boto3

from benchmarks.contest import Contestant, measure
from benchmarks.endpoints import IMAGE, endpoint, upload
from benchmarks.signed import invocation
from benchmarks.unet import CONNECTIONS, DURATION_S, ROUNDS, sample
from windtunnel.cli.cloud_process import running_cloud
from windtunnel.core.home import Home

PAIR = """
def input_handler(data, context):
    return data.read()
def output_handler(response, context):
    return response.content, context.accept_header
"""
HANDLER = """
import requests
def handler(data, context):
    response = requests.post(context.rest_uri, data=data.read().decode("utf-8"))
    return response.content, context.accept_header
"""
SYNC = {"SAGEMAKER_GUNICORN_WORKER_CLASS": "sync"}
CONTESTANTS: tuple[tuple[str, str | None, dict[str, str]], ...] = (
    ("no script", None, {}),
    ("input_handler and output_handler", PAIR, {}),
    ("the same, class sync: one request at once", PAIR, SYNC),
    ("handler, which posts by itself", HANDLER, {}),
)


def main() -> list[str]:
    """Measure and return the lines of a table."""
    source = sample()
    # What a model server takes as it is: a script passes it on unread.
    body = b'{"instances":%s}' % (source / "payload.json").read_bytes()
    session = boto3.Session()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cloud = stack.enter_context(
            running_cloud(Home(directory / "home"), log=directory / "up.log")
        )
        contestants = []
        for number, (title, script, environment) in enumerate(CONTESTANTS):
            archive = directory / f"{number}.tar.gz"
            archive.write_bytes(with_script(source / "model.tar.gz", script))
            url = upload(session, cloud, archive, f"{number}/model.tar.gz")
            container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": environment}
            name = stack.enter_context(endpoint(session, cloud, container))
            send = partial(invocation, cloud.home, cloud.url, name, body)
            contestants.append(Contestant(title, cloud.url, send, cloud.process.pid))
        for _ in range(ROUNDS):
            for contestant in contestants:
                measure(contestant, connections=CONNECTIONS, duration_s=DURATION_S)
    return _table(contestants)


def with_script(archive: Path, text: str | None) -> bytes:
    """Return an archive with `code/inference.py` besides what it had."""
    if text is None:
        return archive.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=buffer, mode="w:gz") as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        script = tarfile.TarInfo("code/inference.py")
        script.size = len(text.encode())
        new.addfile(script, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _table(contestants: list[Contestant]) -> list[str]:
    bare = contestants[0]
    rows = [
        "| script | requests/s | of those without | CPU a request | more than without |",
        "|---|---|---|---|---|",
    ]
    for each in contestants:
        ratios = [
            mine / theirs for mine, theirs in zip(each.rates_rps, bare.rates_rps, strict=True)
        ]
        used_s = statistics.median(each.cpus_s)
        rows.append(
            f"| {each.name} | {statistics.median(each.rates_rps):.1f} "
            f"({min(each.rates_rps):.1f} to {max(each.rates_rps):.1f}) "
            f"| {statistics.median(ratios):.0%} | {used_s * 1e3:.1f} ms "
            f"| {(used_s - statistics.median(bare.cpus_s)) * 1e3:+.1f} ms |"
        )
    return rows
