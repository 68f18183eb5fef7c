"""Sessions: made, recognised, over."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.foundation.callers import Callers, set_current_caller
from windtunnel.cloud.foundation.errors import DeniedError
from windtunnel.cloud.foundation.iam import Iam
from windtunnel.cloud.foundation.sts import Sts
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock
from windtunnel.core.home import Credentials

T = TypeVar("T")

OWNER = Credentials("AKIAOWNEROWNEROWNER0", "the-secret-of-this-home")
LOCAL_ROLE = "arn:aws:iam::000000000000:role/WindtunnelLocalRole"
TRUST = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",'
    '"Action":"sts:AssumeRole"}}'
)


class Room:
    """IAM and STS of one home, asked by whom the test says."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.callers = Callers(OWNER)
        self.path = path

    async def open(self) -> None:
        self.store = await Store.open(self.path / "db")
        self.iam = await Iam.open(self.store, self.clock)
        self.sts = Sts(self.callers, self.iam, self.clock)
        set_current_caller(self.callers.owner)

    async def act_as(self, credentials: dict[str, Any]) -> None:
        caller = self.callers.find(credentials["access_key_id"], credentials["session_token"])
        assert caller is not None
        set_current_caller(caller)


def play(path: Path, scenario: Any) -> None:
    """Play a scenario in a room of its own."""

    async def played() -> None:
        room = Room(path)
        await room.open()
        try:
            await scenario(room)
        finally:
            await room.store.close()

    asyncio.run(played())


async def refusal(kind: type[Exception], call: Awaitable[object]) -> str:
    """Return the words that a call is refused with."""
    with pytest.raises(kind) as caught:
        await call
    return str(caught.value)


def test_the_owner_appears_as_a_role_that_sdks_can_look_up(tmp_path: Path) -> None:
    """`get_execution_role` turns this ARN into a role's name and asks IAM for it."""

    async def scenario(room: Room) -> None:
        identity = await room.sts.get_caller_identity({})
        assert identity["arn"] == (
            "arn:aws:sts::000000000000:assumed-role/WindtunnelLocalRole/windtunnel"
        )
        name = identity["arn"].split("/")[1]
        answer = await room.iam.get_role({"role_name": name})
        assert answer["role"]["arn"] == LOCAL_ROLE
        assert identity["user_id"].partition(":")[0] == answer["role"]["role_id"]

    play(tmp_path, scenario)


def test_a_session_says_who_it_is_and_until_when(tmp_path: Path) -> None:
    """A script that assumes a role must see that it did."""

    async def scenario(room: Room) -> None:
        await room.iam.create_role(
            {"role_name": "Train", "path": "/service-role/", "assume_role_policy_document": TRUST}
        )
        answer = await room.sts.assume_role(
            {
                "role_arn": "arn:aws:iam::000000000000:role/service-role/Train",
                "role_session_name": "nightly",
                "duration_seconds": 900,
            }
        )
        credentials = answer["credentials"]
        assert credentials["access_key_id"].startswith("ASIA")
        assert len(credentials["access_key_id"]) == 20
        assert len(credentials["secret_access_key"]) == 40
        assert credentials["expiration"] == int(room.clock.now_s()) + 900

        await room.act_as(credentials)
        identity = await room.sts.get_caller_identity({})
        # The path of a role is not in the ARN of its sessions.
        arn = "arn:aws:sts::000000000000:assumed-role/Train/nightly"
        assert identity["arn"] == answer["assumed_role_user"]["arn"] == arn
        assert identity["user_id"] == answer["assumed_role_user"]["assumed_role_id"]

    play(tmp_path, scenario)


def test_a_session_is_known_after_a_restart_and_nowhere_else(tmp_path: Path) -> None:
    """A notebook's credentials outlive `up`; another home's open nothing."""
    session, token = Callers(OWNER).start_session(
        role_id="AROAX", role_name="R", session_name="s", expires_s=9e9, is_role_session=True
    )
    other = Callers(Credentials(OWNER.access_key_id, "another-home's-secret"))

    assert Callers(OWNER).find(session.access_key_id, token) == session
    assert other.find(session.access_key_id, token) is None


@pytest.mark.parametrize("end", [1, 20, 50, -1])
def test_a_token_that_was_touched_is_nobodys(end: int) -> None:
    """Nobody makes themselves another role, or another expiry, out of a token."""
    callers = Callers(OWNER)
    session, token = callers.start_session(
        role_id="AROAX", role_name="R", session_name="s", expires_s=1.0, is_role_session=True
    )
    swapped = "A" if token[end] != "A" else "B"
    touched = token[:end] + swapped + (token[end + 1 :] if end > 0 else "")

    assert callers.find(session.access_key_id, touched) is None
    assert callers.find(session.access_key_id, token[:-4]) is None
    assert callers.find("ASIAANOTHERKEYANOTHE", token) is None
    assert callers.find(session.access_key_id, None) is None
    assert callers.find(OWNER.access_key_id, token) is None


@pytest.mark.parametrize(
    "token", ["", "x", "é", "A" * (limits.SESSION_TOKEN_BYTES_MAX + 4), "////", "=", "AAAA" * 20]
)
def test_what_is_no_token_is_nobodys(token: str) -> None:
    """Junk and real AWS tokens get a refusal, not a stack trace."""
    assert Callers(OWNER).find("ASIAXXXXXXXXXXXXXXXX", token) is None


def test_a_role_that_does_not_exist_cannot_be_assumed(tmp_path: Path) -> None:
    """A typo in a role must not pass here and fail on AWS."""

    async def scenario(room: Room) -> None:
        for arn in (
            "arn:aws:iam::000000000000:role/Nobody",
            "arn:aws:iam::111111111111:role/WindtunnelLocalRole",
            "arn:aws:iam::000000000000:role/path/WindtunnelLocalRole",
        ):
            words = await refusal(
                DeniedError,
                room.sts.assume_role({"role_arn": arn, "role_session_name": "s1"}),
            )
            assert words == (
                f"User: {room.callers.owner.arn} is not authorized to perform: sts:AssumeRole on "
                f"resource: {arn}"
            )
        for junk in ("a" * 20, "arn:aws:s3:::role/WindtunnelLocalRole"):
            words = await refusal(
                InvalidError, room.sts.assume_role({"role_arn": junk, "role_session_name": "s1"})
            )
            assert words == f"{junk} is invalid"

    play(tmp_path, scenario)


def test_a_session_lasts_no_longer_than_its_role_allows(tmp_path: Path) -> None:
    """What AWS would refuse at night is refused here by day."""

    async def scenario(room: Room) -> None:
        await room.iam.create_role({"role_name": "Short", "assume_role_policy_document": TRUST})
        short = {
            "role_arn": "arn:aws:iam::000000000000:role/Short",
            "role_session_name": "s1",
            "duration_seconds": 3601,
        }
        words = await refusal(InvalidError, room.sts.assume_role(short))
        assert "exceeds the MaxSessionDuration set for this role" in words

        await room.iam.update_role({"role_name": "Short", "max_session_duration": 7200})
        await room.sts.assume_role(short)
        own = await room.sts.assume_role({"role_arn": LOCAL_ROLE, "role_session_name": "s2"})
        await room.act_as(own["credentials"])
        assert "role chaining" in await refusal(InvalidError, room.sts.assume_role(short))
        await room.sts.assume_role({**short, "duration_seconds": 3600})

    play(tmp_path, scenario)


def test_a_session_token_is_for_the_owner_only(tmp_path: Path) -> None:
    """As on AWS, temporary credentials do not beget themselves."""

    async def scenario(room: Room) -> None:
        answer = await room.sts.get_session_token({})
        assert answer["credentials"]["expiration"] == int(room.clock.now_s()) + 43_200
        before = await room.sts.get_caller_identity({})
        await room.act_as(answer["credentials"])
        assert await room.sts.get_caller_identity({}) == before
        words = await refusal(DeniedError, room.sts.get_session_token({}))
        assert words == "Cannot call GetSessionToken with session credentials"

    play(tmp_path, scenario)
