"""List operations against a plain filter and sort."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker.lifecycle import Status
from windtunnel.cloud.sagemaker.listing import listed
from windtunnel.cloud.sagemaker.records import Endpoint, Model

_TIMES = st.integers(0, 6).map(float)
_ENDPOINTS = st.lists(
    st.builds(
        lambda name, created_s, later_s, status: Endpoint(
            name, f"arn:{name}", "c", created_s, created_s + later_s, status, ()
        ),
        st.text("abAB-", min_size=1, max_size=3),
        _TIMES,
        _TIMES,
        st.sampled_from([Status.IN_SERVICE, Status.FAILED, Status.CREATING]),
    ),
    unique_by=lambda endpoint: endpoint.name.lower(),
    max_size=12,
)
_REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "name_contains": st.text("abAB-", max_size=2),
        "creation_time_before": _TIMES,
        "creation_time_after": _TIMES,
        "last_modified_time_before": _TIMES,
        "last_modified_time_after": _TIMES,
        "status_equals": st.sampled_from(["InService", "Failed"]),
        "sort_by": st.sampled_from(["Name", "CreationTime", "Status"]),
        "sort_order": st.sampled_from(["Ascending", "Descending"]),
        "max_results": st.integers(1, 5),
    },
)


def _expected(endpoints: list[Endpoint], request: dict[str, Any]) -> list[Endpoint]:
    """Return all pages at once, by the words of botocore's page on ListEndpoints."""
    chosen = [
        each
        for each in endpoints
        if request.get("name_contains", "") in each.name
        and each.created_s < request.get("creation_time_before", 99)
        and each.created_s >= request.get("creation_time_after", -1)
        and each.modified_s < request.get("last_modified_time_before", 99)
        and each.modified_s > request.get("last_modified_time_after", -1)
        and request.get("status_equals", each.status) == each.status
    ]
    keys = {
        "Name": lambda each: (each.name,),
        "CreationTime": lambda each: (each.created_s, each.name),
        "Status": lambda each: (each.status, each.name),
    }
    return sorted(
        chosen,
        key=keys[request.get("sort_by", "CreationTime")],
        reverse=request.get("sort_order", "Descending") == "Descending",
    )


@given(_ENDPOINTS, _REQUESTS)
def test_the_pages_of_a_list_are_what_its_filters_say(
    endpoints: list[Endpoint], request_: dict[str, Any]
) -> None:
    """Any combination of filters, sort and page size gives AWS's list."""
    seen: list[Endpoint] = []
    token = None
    while True:
        chosen, token = listed(endpoints, {**request_, "next_token": token})
        seen += chosen
        if token is None:
            break
        assert len(chosen) == request_.get("max_results", 10)

    assert seen == _expected(endpoints, request_)


def _models(count: int) -> list[Model]:
    return [Model(f"m{number:02}", "arn", float(number), {}) for number in range(count)]


def test_ten_of_the_newest_come_first() -> None:
    """AWS's defaults: a page of ten, newest first."""
    chosen, token = listed(_models(12), {})

    assert [model.name for model in chosen] == [f"m{number:02}" for number in range(11, 1, -1)]
    assert token is not None


def test_a_token_goes_on_with_another_page_size_but_not_with_another_filter() -> None:
    """A place in one list means nothing in another."""
    _, token = listed(_models(12), {})
    rest, _ = listed(_models(12), {"next_token": token, "max_results": 1})

    assert [model.name for model in rest] == ["m01"]
    with pytest.raises(InvalidError, match="NextToken"):
        listed(_models(12), {"next_token": token, "sort_by": "Name"})
