"""Run the measurements: all of them, or those named.

    python -m benchmarks [gateway] [unet] [tiny] [unet_peers] [start] [scripts] [generator]
        [memory] [master] [truth] [control] [proxy] [codecs] [batching] [compiler]
        [benchmark_app] [simulate] [scaling]

Prints Markdown with the machine's facts. Wants an otherwise idle machine.
"""

import importlib
import sys
import time

from benchmarks.machine import facts

NAMES = (
    "gateway",
    "unet",
    "tiny",
    "unet_peers",
    "start",
    "scripts",
    "generator",
    "memory",
    "master",
    "truth",
    "control",
    "proxy",
    "codecs",
    "batching",
    "compiler",
    "benchmark_app",
    "simulate",
    "scaling",
)


def main() -> None:
    """Run what was asked for."""
    asked = sys.argv[1:] or list(NAMES)
    unknown = [name for name in asked if name not in NAMES]
    if unknown:
        raise SystemExit(f"No measurement {', '.join(unknown)}: there are {', '.join(NAMES)}.")
    for name in asked:
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or name).splitlines()[0].rstrip(".")
        print(f"## {title}\n\n{time.strftime('%Y-%m-%d')}, {facts()}\n", flush=True)
        for line in module.main():
            print(line)
        print(flush=True)


if __name__ == "__main__":
    main()
