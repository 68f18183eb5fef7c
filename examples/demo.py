"""The main job, from a model to a before/after table, in under five minutes.

Everything here is what a user would type: each command is shown before it runs. The cloud is a
local one in `runs/demo/home`, which is emptied first but for the cached model; nothing is left
running. The report stays in `runs/demo/report.html`.
"""

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.errors import WindtunnelError
from windtunnel.core.home import Home
from windtunnel.lab.comparison import Sampled, compare
from windtunnel.lab.run_directory import RunDirectory
from windtunnel.sample.mask import iou, marked

ROOT = Path("runs/demo")
# Four users keep two cores busy and a short queue; the workshop's 240 would only make it longer.
USERS = 4
DURATION = "30s"
# The default twice, before and after: what differs between those two is this machine's doing.
RUNS = ("default", "tuned", "default-again")
# The workshop's variables, at values for this machine: as many single-threaded model servers as
# an instance has cores, instead of one that spreads each request over all of them.
TUNED = {
    "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
    "SAGEMAKER_TFS_INTER_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
}
# `load` says so when the generator itself fell behind: the demo shows it and goes on.
_INVALID = 3

# Columns that the comparison needs at least; a wider line wraps, a narrower one loses figures.
TABLE_WIDTH = 100

console = Console(stderr=True, highlight=False)


def main() -> int:
    """Play the main job; return the exit status."""
    begin_s = time.monotonic()
    home = empty_home(ROOT / "home")
    for stale in ROOT.iterdir():
        if stale.name != "home":
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    sample = ROOT / "sample"
    console.print("[bold]1. A model, a payload and the mask it should give[/bold]")
    windtunnel(["sample", "unet", "--out", str(sample)], home)

    console.print("[bold]2. A local cloud[/bold]")
    with running_cloud(home, log=ROOT / "up.log") as cloud:
        console.print(f"   $ windtunnel up --home {ROOT / 'home'} &   [dim]# {cloud.url}[/dim]")
        console.print(
            "[bold]3. Deployed as it comes: is its mask right, and how fast is it?[/bold]"
        )
        measure(cloud, sample, "default", {})
        console.print("[bold]4. Deployed again, tuned[/bold]")
        measure(cloud, sample, "tuned", TUNED)
        console.print("[bold]5. And as it came, once more: how much do equal runs differ?[/bold]")
        measure(cloud, sample, "default-again", {})
    console.print("[bold]6. Before and after[/bold]")
    report = ROOT / "report.html"
    windtunnel(["report", *(str(ROOT / name) for name in RUNS), "--out", str(report)])
    show_comparison()
    console.print(f"\n   report    {report}")
    console.print(
        f"   [dim]{time.monotonic() - begin_s:.0f} s in all; nothing is left running[/dim]"
    )
    return 0


def empty_home(path: Path) -> Home:
    """Return the demo's home, emptied but for the model cache."""
    home = Home(path.absolute())
    if home.is_locked():
        raise SystemExit(f"Another demo is running in {path}.")
    if path.exists():
        for child in path.iterdir():
            if child == home.cache:
                continue
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    home.prepare()
    return home


def windtunnel(arguments: Sequence[str], home: Home | None = None, *, brief: bool = False) -> bytes:
    """Show a command and run it; return what it printed. Brief: of its talk, the last line."""
    console.print(f"   $ {shlex.join(['windtunnel', *arguments])}", soft_wrap=True)
    where = [] if home is None else ["--home", str(home.path)]
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel", *arguments, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if brief else None,
        check=False,
    )
    failed = done.returncode not in (0, _INVALID)
    if brief:
        said = done.stderr.decode().rstrip().splitlines()
        for line in said if failed else said[-1:]:
            console.print(f"   {line}", soft_wrap=True)
    if failed:
        raise SystemExit(done.returncode)
    return done.stdout


def deploy(cloud: CloudProcess, sample: Path, name: str, environment: dict[str, str]) -> None:
    """Deploy the sample under a name, with some variables."""
    options = [word for pair in environment.items() for word in ("--env", "=".join(pair))]
    archive = str(sample / "model.tar.gz")
    windtunnel(["deploy", archive, "--endpoint-name", name, *options], cloud.home, brief=True)


def check_mask(cloud: CloudProcess, sample: Path, name: str) -> None:
    """Invoke once and hold the mask against the expected one."""
    payload = str(sample / "payload.json")
    answer = json.loads(windtunnel(["invoke", name, "--payload", payload], cloud.home))
    expected = np.asarray(Image.open(sample / "mask.png")) > 0
    overlap = iou(marked(answer["predictions"]), expected)
    promised = json.loads((sample / "expected.json").read_text())
    console.print(f"   the mask overlaps the true one by IoU {overlap:.3f}")
    if overlap < promised["iou"] - 0.01:
        raise SystemExit(f"The endpoint's mask is not the model's (IoU {promised['iou']:.3f}).")


def load(cloud: CloudProcess, sample: Path, name: str, out: Path) -> None:
    """Load-test an endpoint."""
    windtunnel(
        [
            *("load", name, "--payload", str(sample / "payload.json")),
            *("--users", str(USERS), "--duration", DURATION, "--out", str(out)),
        ],
        cloud.home,
    )


def measure(cloud: CloudProcess, sample: Path, name: str, environment: dict[str, str]) -> None:
    """Deploy the sample with some variables, check its mask, load-test it, take it down.

    One endpoint at a time: two would share the cores, and neither figure would be its own.
    """
    endpoint_name = f"unet-{name}"
    deploy(cloud, sample, endpoint_name, environment)
    check_mask(cloud, sample, endpoint_name)
    load(cloud, sample, endpoint_name, ROOT / name)
    windtunnel(["clean", "--endpoint-name", endpoint_name, "--yes"], cloud.home, brief=True)


def show_comparison() -> None:
    """Print the before/after table; a difference counts if it holds against both defaults."""
    default, tuned, again = (RunDirectory(ROOT / name).read() for name in RUNS)
    table = Table(
        title=title(default.summary["hardware"]),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("", "default", "again", "tuned", "tuned/default", "verdict"):
        is_text = heading in {"", "verdict"}
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    first = compare(Sampled.of(default), Sampled.of(tuned))
    second = compare(Sampled.of(again), Sampled.of(tuned))
    for one, other in zip(first, second, strict=True):
        scale, unit = (1.0, "/s") if one.name == "throughput" else (1e3, " ms")
        table.add_row(
            one.name,
            f"{one.before * scale:.1f}{unit}",
            f"{other.before * scale:.1f}{unit}",
            f"{one.after * scale:.1f}{unit}",
            f"{min(one.low, other.low):.2f} to {max(one.high, other.high):.2f}",
            both(one.verdict, other.verdict),
        )
    Console(highlight=False, width=max(console.width, TABLE_WIDTH)).print(table)
    for run in (default, tuned, again):
        if not run.summary["valid"]:
            reasons = "; ".join(run.summary["reasons"])
            console.print(f"   [yellow]{run.summary['endpoint']} is INVALID: {reasons}[/yellow]")


def both(one: str, other: str) -> str:
    """Return what two verdicts come to: a difference only where they agree on it."""
    if one == other or "too few" in one:
        return one
    return other if "too few" in other else "no real difference"


def title(hardware: Mapping[str, Any]) -> str:
    """Return what the figures were measured on, in one line."""
    return f"U-Net, {USERS} users, {DURATION}, on {hardware['instances']}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WindtunnelError as error:
        console.print(f"demo: {error}")
        sys.exit(error.exit_code)
