"""Plans of load runs, with defaults for what a test has nothing to say of."""

from typing import Any

from windtunnel.lab.load.plan import PayloadFacts, Plan, Schedule


def facts(body: bytes = b"BODY", **words: Any) -> PayloadFacts:
    """Return what a plan keeps of a payload."""
    import hashlib

    asked: dict[str, Any] = {"name": "p", "content_type": "application/json", **words}
    return PayloadFacts(bytes=len(body), sha256=hashlib.sha256(body).hexdigest(), **asked)


def plan(schedule: Schedule, **words: Any) -> Plan:
    """Return a plan."""
    asked: dict[str, Any] = {
        "endpoint_name": "unet",
        "url": "http://h",
        "region": "us-east-1",
        "payloads": (facts(),),
        "accept": None,
        "processes": 1,
        "objectives": (),
        **words,
    }
    return Plan(schedule=schedule, **asked)
