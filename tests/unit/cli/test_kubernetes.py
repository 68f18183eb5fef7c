"""The manifest of `examples/kubernetes`, against the words that the command line really has."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from windtunnel.cli.main import app

MANIFEST = Path(__file__).parents[3] / "examples" / "kubernetes" / "load.yaml"
TEXT = re.sub(r" +#.*", "", MANIFEST.read_text())
DOCUMENTS = TEXT.split("---\n")


def document(kind: str, name: str) -> str:
    """Return one document of the manifest, which is plain enough to be read line by line."""
    (found,) = [
        text
        for text in DOCUMENTS
        if f"\nkind: {kind}\n" in text and re.search(rf"^  name: {name}$", text, re.MULTILINE)
    ]
    return found


def command(job: str) -> list[str]:
    block = re.search(r" +command:\n((?: +- .+\n)+)", document("Job", job))
    assert block is not None
    return [line.strip().removeprefix("- ").strip('"') for line in block[1].splitlines()]


@pytest.mark.parametrize("job", ["windtunnel-master", "windtunnel-workers"])
def test_every_word_is_one_that_the_command_line_takes(job: str) -> None:
    """A manifest that fails in the cluster is found out one pod, one pull and one log later."""
    program, name, *words = command(job)
    group: Any = typer.main.get_command(app)

    context = group.commands[name].make_context(name, words, resilient_parsing=False)

    assert program == "windtunnel"
    assert context.params["cloud"] == "aws"
    assert context.params["master"] == (job == "windtunnel-master")
    assert context.params["worker"] == (job == "windtunnel-workers")


def test_master_and_workers_mean_the_same_run() -> None:
    """A master that waits for nine workers of which eight come never begins."""
    master, workers = command("windtunnel-master"), command("windtunnel-workers")
    waited_for = master[master.index("--workers") + 1]
    port = master[master.index("--master-port") + 1]
    host = workers[workers.index("--master-host") + 1]
    processes = workers[workers.index("--processes") + 1]

    job = document("Job", "windtunnel-workers")
    assert f"  parallelism: {waited_for}\n" in job
    assert f"  completions: {waited_for}\n" in job
    assert processes == "1"
    assert f'requests: {{cpu: "{processes}",' in job
    assert workers[workers.index("--master-port") + 1] == port
    assert f"      port: {port}\n" in document("Service", host)
    assert f"        - port: {port}\n" in document("NetworkPolicy", host)
