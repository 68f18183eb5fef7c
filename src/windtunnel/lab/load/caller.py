"""Who calls from a locustfile, and where to: found once a process, renewed beside the requests.

Without words this is the home's local cloud, as everywhere, and boto3 stays out of the process:
sixty workers on one small machine are sixty times what one imports. Anything else is a target like
every command's, its credentials those of boto3's chain. A request is signed with the credentials
that are there; a greenlet of its own sees to it that they do not expire.

Only for processes that run gevent.
"""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import WindtunnelError
from windtunnel.core.home import Home

if TYPE_CHECKING:
    from windtunnel.lab.target import Target, TargetOptions

_log = logging.getLogger(__name__)


class Caller:
    """One account's key in one region, and the URL of InvokeEndpoint there."""

    def __init__(self, url: str, region: str, credentials: sigv4.Credentials) -> None:
        self.url = url
        self.region = region
        self._credentials = credentials
        # Called when there are other credentials.
        self.on_renewal: list[Callable[[], None]] = []

    def credentials(self) -> sigv4.Credentials:
        """Return the credentials as they are now; nothing is asked for."""
        return self._credentials

    def renew(self, target: "Target") -> bool:
        """Get new credentials if these are about to expire; say whether there are others."""
        if not target.credentials_expire_within(limits.CREDENTIALS_RENEWAL_S):
            return False
        # It may run a program, or ask a service: meanwhile the users go on.
        fresh = target.signing_credentials()
        if fresh == self._credentials:
            return False
        self._credentials = fresh
        for told in self.on_renewal:
            told()
        return True


@functools.cache
def caller_of(options: "TargetOptions | None") -> Caller:
    """Return the caller that the options name; without them that of this home's local cloud."""
    if options is None:
        home = Home.resolve()
        record = home.running()
        keys = home.credentials()
        credentials = sigv4.Credentials(keys.access_key_id, keys.secret_access_key)
        return Caller(record.url, record.region, credentials)
    from windtunnel.lab.target import open_target

    target = open_target(options)
    url = target.runtime().meta.endpoint_url
    caller = Caller(url, target.region, target.signing_credentials())
    if target.renews_credentials:
        gevent.spawn(_keep_fresh, caller, target)
    return caller


def _keep_fresh(caller: Caller, target: "Target") -> None:
    warned = ""
    while True:
        gevent.sleep(limits.CREDENTIALS_CHECK_S)
        try:
            caller.renew(target)
        except WindtunnelError as error:
            if str(error) != warned:
                warned = str(error)
                _log.warning("The credentials could not be renewed: %s", error)
