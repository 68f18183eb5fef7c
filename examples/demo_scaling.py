"""Auto scaling, from a policy to its timeline, in under a minute and a half.

One instance, a ramp, scale-out to several, calm, scale-in; what AWS takes a quarter of an hour for
is played with scaling's clock 30 times as fast. Everything here is what a user would type. Nothing
is left running; the report stays in `runs/demo-scaling/report.html`.
"""

import shutil
import sys
import tarfile
import time
from pathlib import Path

from examples.demo import console, empty_home, windtunnel

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.errors import WindtunnelError
from windtunnel.lab.run_directory import Run, RunDirectory
from windtunnel.lab.scaling_record import sentence

ROOT = Path("runs/demo-scaling")
SERVER = Path(__file__).parent / "autoscaling" / "server.py"
ENDPOINT = "waiting"
# The server's one slot of 100 ms, as a person types it.
CAPACITY_RPS = "10"
SAFETY_FACTOR = "0.6"
WARP = 30
MINUTE_S = 60 / WARP
INSTANCES_MAX = 4
# Requests a second: quiet, a ramp to what four instances need, a hold, and calm for as long as the
# 15 minutes of the low alarm take.
STAGES = "4s:4,10s:22,10s:22,2s:4,42s:4"
# With SageMaker's default of 300 s each step would wait for 10 s here.
COOLDOWN = "60s"


def main() -> int:
    """Play the chapter; return the exit status."""
    begin_s = time.monotonic()
    home = empty_home(ROOT / "home")
    shutil.rmtree(ROOT / "run", ignore_errors=True)
    console.print("[bold]Auto scaling: one instance, a ramp, four instances, calm, one[/bold]")
    console.print(
        "   The endpoint is a server whose time is waiting (one slot of 100 ms): this machine's\n"
        "   cores would be shared by instances that compute, and more of them would gain nothing.",
        style="dim",
        soft_wrap=True,
    )
    with running_cloud(home, "--warp", str(WARP), log=ROOT / "up.log") as cloud:
        console.print(
            f"   $ windtunnel up --warp {WARP} --home {ROOT / 'home'} &   [dim]# {cloud.url}; a "
            f"minute of alarms and cooldowns lasts {MINUTE_S:g} s[/dim]",
            soft_wrap=True,
        )
        deploy(cloud)
        told = windtunnel(
            [
                *("autoscale", ENDPOINT, "--min", "1", "--max", str(INSTANCES_MAX)),
                *("--capacity-rps", CAPACITY_RPS, "--safety-factor", SAFETY_FACTOR),
                *("--out-cooldown", COOLDOWN, "--in-cooldown", COOLDOWN),
            ],
            home,
        )
        console.print(told.decode().rstrip(), soft_wrap=True)
        out = ROOT / "run"
        windtunnel(
            [
                *("load", ENDPOINT, "--payload", str(ROOT / "payload.json")),
                *("--rate", "4", "--stages", STAGES, "--out", str(out)),
            ],
            home,
        )
    report = ROOT / "report.html"
    tell(RunDirectory(out).read())
    windtunnel(["report", str(out), "--capacity-rps", CAPACITY_RPS, "--out", str(report)])
    console.print(f"\n   report    {report}")
    console.print(
        f"   [dim]{time.monotonic() - begin_s:.0f} s in all; nothing is left running[/dim]"
    )
    return 0


def deploy(cloud: CloudProcess) -> None:
    """Put the server in service on one instance."""
    archive = ROOT / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(SERVER, SERVER.name)
    (ROOT / "payload.json").write_text('{"instances": [1]}')
    windtunnel(
        [
            *("deploy", str(archive), "--endpoint-name", ENDPOINT, "--image", "local/command"),
            *("--env", f"WINDTUNNEL_COMMAND={sys.executable} {SERVER.name}"),
        ],
        cloud.home,
        brief=True,
    )


def tell(run: Run) -> None:
    """Print what happened."""
    record = run.scaling
    if record is None:
        raise SystemExit("The run does not know what scaled its endpoint.")
    console.print(f"   [bold]{sentence(record)}[/bold]")
    for each in record.variants[0].activities:
        alarm = "high" if "-AlarmHigh-" in each.cause else "low"
        console.print(
            f"   {each.at_s:5.1f} s  {each.previous} to {each.desired}, by the {alarm} alarm"
        )
    failures, requests = run.summary["failures"], run.summary["requests"]
    console.print(f"   {failures} of {requests:,} requests failed")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WindtunnelError as error:
        console.print(f"demo: {error}")
        sys.exit(error.exit_code)
