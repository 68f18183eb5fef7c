"""Users who invoke a SageMaker endpoint one request after the other; see distributed.sh.

The endpoint is the last part of Locust's host. With CLOUD=aws it is AWS's, with the credentials and
the region of boto3's chain; otherwise it is the local cloud's of this home.
"""

import os

from locust import task

from windtunnel.lab.load import EndpointUser


class MyUser(EndpointUser):
    """A user who sends the next request as soon as the last one is answered."""

    # Read once by each worker, and sent whole by each of its users.
    payload = os.environ.get("PAYLOAD", "unet-payload.txt")
    content_type = os.environ.get("CONTENT_TYPE", "application/json")

    @task
    def send_request(self) -> None:
        """Invoke the endpoint."""
        self.invoke()


if os.environ.get("CLOUD") == "aws":
    # Here and not above: boto3 is more than a worker needs for the local cloud.
    from windtunnel.lab.target import TargetOptions

    MyUser.target = TargetOptions(cloud="aws")
