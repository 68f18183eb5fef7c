"""DescribeScalingActivities: what was done for targets, newest first."""

from typing import Any

from windtunnel.cloud.autoscaling.book import PAGE_COUNT_MAX, Book, listed

Document = dict[str, Any]
# "From the previous six weeks" (botocore's page).
_KEPT_S = 42 * 24 * 3600.0


class Activities:
    """The one operation on activities."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def describe(self, request: Document) -> Document:
        """Return a page of the activities; what was not done only where that is asked for."""
        resource_id = request.get("resource_id")
        with_not_scaled = bool(request.get("include_not_scaled_activities"))
        since_s = self._book.now_s() - _KEPT_S
        chosen = sorted(
            (
                each
                for each in self._book.activities.all()
                if (resource_id is None or each.resource_id == resource_id)
                and (with_not_scaled or not each.not_scaled)
                and each.started_s >= since_s
            ),
            key=lambda each: each.key,
            reverse=True,
        )
        shown, token = listed(
            request,
            chosen,
            lambda each: [each.key],
            PAGE_COUNT_MAX,
            is_descending=True,
        )
        return {"scaling_activities": [each.shown() for each in shown], "next_token": token}
