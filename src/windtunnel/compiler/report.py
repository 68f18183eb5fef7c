"""What a compilation tells: everything that was tried, what it was worth, and why one was taken.

`tell_all` makes the record (`report.json`), `render_page` a page of it for people
(`report.html`), which needs nothing but itself.
"""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windtunnel.compiler import trial
from windtunnel.compiler.cache import versions
from windtunnel.compiler.candidates import Candidate
from windtunnel.compiler.choice import Choice, Setting
from windtunnel.compiler.figures import render_rates
from windtunnel.compiler.job import Job
from windtunnel.compiler.measure import compare
from windtunnel.compiler.shapes import Shapes
from windtunnel.compiler.sources import Source
from windtunnel.compiler.verify import Measure
from windtunnel.core import processor

_FORMAT = 1
# Of a processor's features, those that decide what it computes fast.
_KNOWN = {
    "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "avx_vnni",
    "asimd", "asimddp", "bf16", "i8mm", "sve",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is known at the end of a compilation."""

    job: Job
    source: Source
    shapes: Shapes
    samples: str
    measure: Measure
    candidates: Sequence[Candidate]
    # By name of a candidate, and of the baseline.
    timings: Mapping[str, trial.Lone]
    throughputs: Mapping[str, Sequence[Setting]]
    choice: Choice
    profile: Mapping[str, Any] | None
    notices: Sequence[str]
    is_measured: bool


def tell_all(found: Findings) -> dict[str, Any]:
    """Return the record of a compilation."""
    job = found.job
    return {
        "format": _FORMAT,
        "framework": job.framework,
        "target": job.target.name,
        "engine": job.target.kind.value,
        "objective": job.options.objective,
        "measured": _where(job, is_measured=found.is_measured),
        "machine": {
            "processor": processor.model(),
            "cores": processor.core_count(),
            "features": sorted(_KNOWN & processor.features()),
            "versions": versions(),
        },
        "shapes": {name: list(shape) for name, shape in found.shapes.items()},
        "samples": found.samples,
        "measure": found.measure.name,
        "baseline": {"name": found.source.title, **_speeds(found, trial.BASELINE)},
        "candidates": [_row(found, each) for each in found.candidates],
        "chosen": found.choice.name,
        "reason": found.choice.reason,
        "profile": found.profile,
        "notices": list(found.notices),
    }


def _row(found: Findings, candidate: Candidate) -> dict[str, Any]:
    tolerance = found.measure.tolerance.get(candidate.manifest.precision, 1.0)
    return {
        "name": candidate.name,
        "precision": candidate.manifest.precision,
        "floats": candidate.manifest.floats,
        # JSON has no word for what is not finite.
        "score": candidate.score if math.isfinite(candidate.score) else None,
        "tolerance": tolerance,
        "is_right": candidate.score >= tolerance,
        **_speeds(found, candidate.name),
    }


def _speeds(found: Findings, name: str) -> dict[str, Any]:
    lone, base = found.timings.get(name), found.timings.get(trial.BASELINE)
    if lone is None or base is None:
        return {}
    timing, baseline = lone.timing, base.timing
    ratio = compare(baseline, timing)
    return {
        "threads": lone.threads or "all",
        "p50_ms": timing.p50_s * 1e3,
        "p50_ms_middle_half": [each * 1e3 for each in timing.spread_s],
        "p90_ms": timing.p90_s * 1e3,
        "cpu_ms": timing.cpu_s * 1e3,
        "rounds": len(timing.p50s_s),
        "times_baseline": ratio.value,
        "times_baseline_95": [ratio.low, ratio.high],
        "throughput": [
            {
                "streams": each.streams,
                "threads": each.threads or "all",
                "inferences_per_s": round(each.inferences_per_s, 2),
            }
            for each in found.throughputs.get(name, [])
        ],
    }


def _where(job: Job, *, is_measured: bool) -> str:
    if not is_measured:
        return "not measured here: this machine has no GPU that ONNX Runtime uses"
    if job.target.is_local:
        return "on this machine, which is the target"
    missing = sorted((job.target.features & _KNOWN) - processor.features())
    lacks = f"; it lacks {', '.join(missing)}" if missing else ""
    return f"not measured on the target, but on this machine in its place{lacks}"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2330; background: #fff; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; }
.brand { color: #5b6b85; } h1 { font-size: 1.6rem; margin: .2rem 0 1rem; line-height: 1.25; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; color: #5b6b85; font-weight: 500; }
th + th, td + td { text-align: right; }
th, td { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e3e8f0; vertical-align: top; }
tr.chosen td { background: #eef6ff; font-weight: 600; } tr.wrong td { color: #a33; }
.scale { position: relative; height: 1rem; min-width: 14rem; }
.bar { position: absolute; top: .2rem; height: .6rem; background: #4c7dd0; border-radius: 2px; }
.wrong .bar, .base .bar { background: #b9c4d6; }
.whisker { position: absolute; top: .45rem; height: 2px; background: #1c2330; }
.notice { border-left: 3px solid #d9a23b; padding: .1rem .8rem; margin: .4rem 0; }
footer { color: #5b6b85; margin-top: 2rem; font-size: .9rem; }
"""


def render_page(report: Mapping[str, Any]) -> str:
    """Return the page of a record."""
    rows = [report["baseline"], *report["candidates"]]
    longest = max(
        (max(row["p50_ms"], row["p50_ms_middle_half"][1]) for row in rows if "p50_ms" in row),
        default=0.0,
    )
    footer = (
        f"Bars are medians, lines the middle half of the rounds. Speeds are {report['measured']}."
    )
    parts = [
        f'<div class="brand">Compilation for {_text(report["target"])}</div>',
        f"<h1>{_text(report['reason'])}</h1>",
        f"<p>{_text(_sentence(report))}</p>",
        *(f'<p class="notice">{_text(each)}</p>' for each in report["notices"]),
        "<h2>Latency, one inference after the other</h2>",
        _table(
            (
                "form",
                "threads",
                "median ms",
                "",
                "times baseline",
                "CPU ms",
                report["measure"],
                "at least",
            ),
            [_latency_row(row, report, longest) for row in rows],
        ),
        *_throughput(rows),
        *_profile(report),
        "<h2>What measured</h2>",
        f"<p>{_text(_machine(report['machine']))}</p>",
        f"<footer>{_text(footer)}</footer>",
    ]
    title = f"{report['target']}: {report['chosen'] or 'nothing gained'} · Windtunnel"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _machine(facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {each}" for name, each in facts["versions"].items())
    return (
        f"{facts['processor']}, {facts['cores']} cores ({', '.join(facts['features'])}); {versions}"
    )


def _sentence(report: Mapping[str, Any]) -> str:
    shapes = ", ".join(
        f"{name} {'x'.join(map(str, shape))}" for name, shape in report["shapes"].items()
    )
    return (
        f"{report['framework']} model for {shapes}, compiled for {report['engine']} in"
        f" {report['duration_s']:.0f} s. Answers were compared on {report['samples']} samples with"
        f" those of {report['baseline']['name']}; speeds are {report['measured']}."
    )


def _latency_row(row: Mapping[str, Any], report: Mapping[str, Any], longest: float) -> str:
    is_base = "score" not in row
    kind = "base" if is_base else "" if row["is_right"] else "wrong"
    if row["name"] == report["chosen"]:
        kind = "chosen"
    score = "" if is_base else "no answer" if row["score"] is None else f"{row['score']:.4f}"
    tolerance = "" if is_base else f"{row['tolerance']:g}"
    if "p50_ms" not in row:
        cells = ["", "not timed", "", "", ""]
    else:
        low, high = row["times_baseline_95"]
        times = "" if is_base else f"{row['times_baseline']:.2f}x ({low:.2f} to {high:.2f})"
        cells = [
            _text(row["threads"]),
            f"{row['p50_ms']:.3g}",
            _bar(row, longest),
            times,
            f"{row['cpu_ms']:.3g}",
        ]
    return _row_of([_text(row["name"]), *cells, score, tolerance], kind)


def _bar(row: Mapping[str, Any], longest: float) -> str:
    low, high = (min(100 * each / longest, 100.0) for each in row["p50_ms_middle_half"])
    return (
        '<div class="scale">'
        f'<div class="bar" style="width:{min(100.0, 100 * row["p50_ms"] / longest):.1f}%"></div>'
        f'<div class="whisker" style="left:{low:.1f}%;width:{max(0.3, high - low):.1f}%">'
        "</div></div>"
    )


def _throughput(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    settings = [(row["name"], each) for row in rows for each in row.get("throughput", [])]
    if not settings:
        return []
    rates = render_rates([each["inferences_per_s"] for _, each in settings])
    lines = [
        _row_of([_text(name), _text(each["streams"]), _text(each["threads"]), rate])
        for (name, each), rate in zip(settings, rates, strict=True)
    ]
    head = ("form", "at once", "threads of each", "inferences a second")
    return ["<h2>Throughput, several at once</h2>", _table(head, lines)]


def _profile(report: Mapping[str, Any]) -> list[str]:
    profile = report["profile"]
    if profile is None or not profile["ms_by_precision"]:
        return []
    spent = ", ".join(f"{name} {each:.3f} ms" for name, each in profile["ms_by_precision"].items())
    lines = [
        _row_of([_text(name), f"{each:.3f}"])
        for name, each in profile["ms_in_floats_by_operation"].items()
    ]
    return [
        f"<h2>Where {_text(report['chosen'])} spends its time</h2>",
        f"<p>By precision: {_text(spent)}.</p>",
        _table(("operations in floats", "ms"), lines) if lines else "",
    ]


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{_text(each)}</th>" for each in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row_of(cells: Sequence[str], kind: str = "") -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{each}</td>" for each in cells) + "</tr>"


def _text(value: object) -> str:
    return html.escape(str(value))
