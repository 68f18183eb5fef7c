"""boto3 in Locust, as the workshop's locust_script.py has it: a user, a client, a closed loop.

Each user makes a client of its own without retries, calls InvokeEndpoint, reads the answer and
tells Locust. What is left out is the file that all users of a process read from, and of which all
but the first got nothing.
"""

import os
from pathlib import Path
from time import perf_counter
from typing import Any

import boto3
from botocore.config import Config
from locust import FastHttpUser, task

from benchmarks.peers import locust_count

assert locust_count
_BODY = Path(os.environ["BODY_FILE"]).read_bytes()


class BotoUser(FastHttpUser):
    """A user that invokes through a client of its own."""

    def __init__(self, environment: Any) -> None:
        """Make the client before anything is counted."""
        super().__init__(environment)
        self.sagemaker = boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.host,
            region_name="us-east-1",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="secret",  # noqa: S106 - nobody's
            config=Config(retries={"max_attempts": 0, "mode": "standard"}),
        )

    @task
    def send(self) -> None:
        """Invoke once."""
        meta: dict[str, Any] = {
            "request_type": "InvokeEndpoint",
            "name": "SageMaker",
            "response_length": 0,
            "response": None,
            "context": {},
            "exception": None,
        }
        began_s = perf_counter()
        try:
            answer = self.sagemaker.invoke_endpoint(
                EndpointName="unet", Body=_BODY, ContentType="application/json"
            )
            meta["response"] = answer["Body"].read()
        except Exception as error:  # noqa: BLE001 - Locust counts it
            meta["exception"] = error
        meta["response_time"] = (perf_counter() - began_s) * 1000
        self.environment.events.request.fire(**meta)
