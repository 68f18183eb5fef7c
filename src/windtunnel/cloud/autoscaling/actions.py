"""PutScheduledAction and what belongs to it."""

from typing import Any

from windtunnel.cloud.autoscaling import requests, wording
from windtunnel.cloud.autoscaling.book import PAGE_COUNT_MAX, Book, listed, named
from windtunnel.cloud.autoscaling.records import Action, joined
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker.errors import LimitExceededError

Document = dict[str, Any]
# Of one target (Application Auto Scaling's quotas).
_COUNT_MAX = 200


class Actions:
    """The operations on scheduled actions."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def put(self, request: Document) -> Document:
        """Make a scheduled action, or give one new words: what is not named stays."""
        resource_id, name = request["resource_id"], request["scheduled_action_name"]
        requests.variant_of(resource_id)
        async with self._book.lock:
            self._book.target(resource_id)
            old = self._book.actions.find(joined(resource_id, name))
            if old is None:
                self._check_room(resource_id)
            action = self._made(request, old)
            await self._book.commit(self._book.actions.edit([action]))
        return {}

    def _made(self, request: Document, old: Action | None) -> Action:
        text = request.get("schedule", old.schedule if old else None)
        if text is None:
            raise InvalidError("Schedule must be specified for a new scheduled action.")
        zone = request.get("timezone", old.timezone if old else None)
        start_s = request.get("start_time", old.start_s if old else None)
        end_s = request.get("end_time", old.end_s if old else None)
        created_s = old.created_s if old else self._book.now_s()
        requests.parsed_schedule(text, zone, from_s=created_s)
        if start_s is not None and end_s is not None and start_s >= end_s:
            raise InvalidError("StartTime must be before EndTime.")
        bounds = request.get("scalable_target_action") or {}
        low = bounds.get("min_capacity", old.capacity_min if old and not bounds else None)
        high = bounds.get("max_capacity", old.capacity_max if old and not bounds else None)
        if low is None and high is None:
            raise InvalidError(
                "ScalableTargetAction must have a MinCapacity, a MaxCapacity or both."
            )
        requests.check_bounds(low, high)
        resource_id, name = request["resource_id"], request["scheduled_action_name"]
        arn = old.arn if old else self._book.action_arn(resource_id, name)
        return Action(name, resource_id, arn, text, created_s, zone, start_s, end_s, low, high)

    async def describe(self, request: Document) -> Document:
        """Return a page of the scheduled actions."""
        chosen = named(self._book.actions, request, "scheduled_action_names")
        shown, token = listed(request, chosen, lambda each: [each.key], PAGE_COUNT_MAX)
        return {"scheduled_actions": [each.shown() for each in shown], "next_token": token}

    async def delete(self, request: Document) -> Document:
        """Forget a scheduled action."""
        resource_id, name = request["resource_id"], request["scheduled_action_name"]
        async with self._book.lock:
            key = joined(resource_id, name)
            if self._book.actions.find(key) is None:
                raise wording.no_action(resource_id, name)
            await self._book.commit(self._book.actions.edit(deletes=[key]))
        return {}

    def _check_room(self, resource_id: str) -> None:
        if len(self._book.actions_of(resource_id)) >= _COUNT_MAX:
            raise LimitExceededError(f"A scalable target has up to {_COUNT_MAX} scheduled actions.")
