"""A run's checks as a JUnit file, which GitLab, Jenkins and the actions of GitHub read.

There is no standard; this keeps to what the Jenkins xUnit schema has and all of them show: counts
on the suites, one test case a check, its words both as message and as text (GitLab shows only the
text), its numbers in system-out, in the schema's order.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from windtunnel.lab import checks
from windtunnel.lab.checks import Check

_ELEMENTS = {"failed": "failure", "error": "error", "skipped": "skipped"}
# What XML 1.0 has no way to write, not even escaped (section 2.2, Char).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(summary: Mapping[str, Any]) -> str:
    """Return the file of a run that came to its end."""
    return _document(summary["endpoint"], checks.of(summary), summary["measured_s"])


def render_unfinished(endpoint_name: str) -> str:
    """Return the file that stands until a run ends: whatever stops it, this is no pass."""
    words = "the run did not come to its end: its output says why"
    return _document(endpoint_name, [Check("valid", "error", "unfinished", words, {})], 0.0)


def _document(endpoint_name: str, found: Sequence[Check], time_s: float) -> str:
    counts = {
        "tests": len(found),
        "failures": sum(check.status == "failed" for check in found),
        "errors": sum(check.status == "error" for check in found),
        "skipped": sum(check.status == "skipped" for check in found),
    }
    shared = {**{key: str(value) for key, value in counts.items()}, "time": f"{time_s:.3f}"}
    root = ET.Element("testsuites", {"name": "windtunnel load", **shared})
    suite = ET.SubElement(root, "testsuite", {"name": _clean(f"load on {endpoint_name}"), **shared})
    for number, check in enumerate(found):
        # The run's time is the first check's: sums over cases are what readers show.
        _case(suite, endpoint_name, check, 0.0 if number else time_s)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written.decode() + "\n"


def _case(suite: ET.Element, endpoint_name: str, check: Check, time_s: float) -> None:
    words = {
        "classname": _clean(f"windtunnel.load.{endpoint_name}"),
        "name": _clean(check.name),
        "time": f"{time_s:.3f}",
    }
    case = ET.SubElement(suite, "testcase", words)
    sentence = _clean(check.sentence)
    if check.status in _ELEMENTS:
        why = {"message": sentence, "type": check.outcome}
        if check.status == "skipped":
            del why["type"]
        ET.SubElement(case, _ELEMENTS[check.status], why).text = sentence
    lines = [check.sentence, *(f"{key}: {_number(value)}" for key, value in check.numbers.items())]
    ET.SubElement(case, "system-out").text = _clean("\n".join(lines))


def _number(value: object) -> str:
    return "none" if value is None else str(value)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
