"""Locust's own faster client, which does not sign: what Locust itself costs a request."""

import os
from pathlib import Path

from locust import FastHttpUser, task

from benchmarks.peers import locust_count

assert locust_count
_BODY = Path(os.environ["BODY_FILE"]).read_text()


class Caller(FastHttpUser):
    """A user that posts."""

    @task
    def predict(self) -> None:
        """Post once."""
        headers = {"Content-Type": "application/json"}
        self.client.post("/endpoints/unet/invocations", data=_BODY, headers=headers)
