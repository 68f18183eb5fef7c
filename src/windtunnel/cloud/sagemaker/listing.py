"""Which records a List operation answers, in which order, a page at a time.

Pure. The rules are those of botocore's pages on ListModels, ListEndpointConfigs, ListEndpoints and
ListCompilationJobs: newest first unless asked otherwise (jobs oldest first), `…Before` excludes the
moment itself, `CreationTimeAfter` includes it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from windtunnel.cloud.jobs.records import CompilationJob
from windtunnel.cloud.paging import page
from windtunnel.cloud.sagemaker.records import Document, Endpoint

# "This value defaults to 10" (ListEndpoints, `MaxResults`).
_PAGE_SIZE = 10


class Listed(Protocol):
    """What every record that is listed has."""

    @property
    def name(self) -> str:
        """The name that its creator gave it."""
        ...

    @property
    def created_s(self) -> float:
        """When it was created."""
        ...


L = TypeVar("L", bound=Listed)

_SORT_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "Name": lambda record: record.name,
    "CreationTime": lambda record: record.created_s,
    "Status": lambda record: str(record.status),
}


def listed(records: Sequence[L], request: Document) -> tuple[list[L], str | None]:
    """Return the page of records that a request asks for, and the token of the next."""
    chosen = [record for record in records if _matches(record, request)]
    sort_key = _SORT_KEYS[request.get("sort_by", "CreationTime")]
    is_descending = request.get("sort_order", "Descending") == "Descending"

    def place(record: L) -> list[Any]:
        return [sort_key(record), record.name]

    chosen.sort(key=place, reverse=is_descending)
    # How many are asked for may change from page to page; what is asked for may not.
    question = {
        key: value for key, value in request.items() if key not in ("next_token", "max_results")
    }
    return page(
        chosen,
        place,
        question=json.dumps(question, sort_keys=True),
        token=request.get("next_token"),
        size=request.get("max_results", _PAGE_SIZE),
        is_descending=is_descending,
    )


def _matches(record: Listed, request: Document) -> bool:
    if request.get("name_contains", "") not in record.name:
        return False
    before_s, after_s = request.get("creation_time_before"), request.get("creation_time_after")
    if before_s is not None and record.created_s >= before_s:
        return False
    if after_s is not None and record.created_s < after_s:
        return False
    if isinstance(record, Endpoint | CompilationJob):
        return _changing_matches(record, request)
    return True


def _changing_matches(record: Endpoint | CompilationJob, request: Document) -> bool:
    before_s = request.get("last_modified_time_before")
    after_s = request.get("last_modified_time_after")
    if before_s is not None and record.modified_s >= before_s:
        return False
    if after_s is not None and record.modified_s <= after_s:
        return False
    return request.get("status_equals") in (None, record.status)
