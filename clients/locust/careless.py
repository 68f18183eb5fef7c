"""A load test as many are written, with the faults that many have.

A client for each user, a payload that is read from one file by all of them, no word of the answers'
sizes, and no time to think.
"""

import time

import boto3
from botocore.config import Config
from locust import User, events, task

payload_file = open("payload.json")  # noqa: PTH123, SIM115 - as it is written


class Careless(User):
    """A user of an endpoint."""

    def on_start(self) -> None:
        """Get ready."""
        self.runtime = boto3.client("sagemaker-runtime", config=Config(retries={"max_attempts": 0}))
        self.endpoint = self.host.removeprefix("https://")
        self.body = payload_file.read()

    @task
    def predict(self) -> None:
        """Ask once."""
        failure = None
        began_s = time.perf_counter()
        try:
            answer = self.runtime.invoke_endpoint(
                EndpointName=self.endpoint, ContentType="application/json", Body=self.body
            )
            answer["Body"].read()
        except Exception as error:  # noqa: BLE001 - counted
            failure = error
        events.request.fire(
            request_type="boto3",
            name="predict",
            response_time=(time.perf_counter() - began_s) * 1000,
            response_length=0,
            exception=failure,
            context={},
        )
