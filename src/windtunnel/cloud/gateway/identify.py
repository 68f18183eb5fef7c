"""Which AWS service a request is for.

One port answers for all of them. What the client signed for is the surest sign (the credential
scope names the service); AWS's host, which requests through the proxy carry, and what was sent tell
the rest apart.
"""

from windtunnel.aws.hosts import service_of
from windtunnel.http.message import Head

# Signing names (the credential scope's) by botocore's service name; sagemaker-runtime and the
# control plane share one, and are told apart by path.
SIGNING_NAMES = {
    "application-autoscaling": "application-autoscaling",
    "cloudwatch": "monitoring",
    "iam": "iam",
    "logs": "logs",
    "s3": "s3",
    "sagemaker": "sagemaker",
    "sagemaker-runtime": "sagemaker",
    "sts": "sts",
}
_BY_SIGNING_NAME = {
    signing: service for service, signing in SIGNING_NAMES.items() if service != "sagemaker-runtime"
}
_BY_TARGET_PREFIX = {
    b"AnyScaleFrontendService": "application-autoscaling",
    b"GraniteServiceVersion20100801": "cloudwatch",
    b"Logs_20140328": "logs",
    b"SageMaker": "sagemaker",
}
# Signing names that several services of AWS's use: the host tells which is meant
# (`metrics.sagemaker`, `s3-control`).
_SHARED_SIGNING_NAMES = frozenset(("s3", "sagemaker"))
# Endpoint prefixes of AWS's hosts (botocore's endpoint rules), where they are not the service's
# signing name.
_BY_ENDPOINT_PREFIX = {
    "api.sagemaker": "sagemaker",
    "runtime.sagemaker": "sagemaker-runtime",
    "streaming-logs": "logs",
}


def identify(head: Head, signed_for: str | None) -> str:
    """Return botocore's name of the service that a request is for, AWS's where it is not here.

    `signed_for` is the signing name in the credential scope, None when nothing is signed. What
    cannot be told otherwise is S3's, whose paths may be anything.
    """
    if signed_for == "sagemaker" and head.path.startswith(b"/endpoints/"):
        return "sagemaker-runtime"
    if signed_for is not None and signed_for not in _SHARED_SIGNING_NAMES:
        return _BY_SIGNING_NAME.get(signed_for, signed_for)
    return _by_host(head) or signed_for or _by_content(head)


def _by_content(head: Head) -> str:
    """Return what the form of an unsigned request says."""
    if head.path.startswith(b"/endpoints/"):
        return "sagemaker-runtime"
    prefix = _target_prefix(head)
    if prefix is not None:
        return _BY_TARGET_PREFIX.get(prefix, "sagemaker")
    content_type = head.get(b"content-type")
    if head.method == b"POST" and content_type is not None:
        if content_type.startswith(b"application/x-www-form-urlencoded"):
            return "sts"
        if content_type.startswith(b"application/x-amz-json"):
            return "sagemaker"
    return "s3"


def _by_host(head: Head) -> str | None:
    """Return the service whose host of AWS's a request names, None when it names none of them."""
    host = head.get(b"host")
    prefix = None if host is None else service_of(host.decode("latin-1"))
    if prefix is None:
        return None
    if prefix in _BY_ENDPOINT_PREFIX:
        return _BY_ENDPOINT_PREFIX[prefix]
    # `ACCOUNT.s3-control` and the like: the last label is the service's. SageMaker's others
    # (`metrics.sagemaker`) are services of their own.
    own = prefix if prefix.endswith(".sagemaker") else prefix.rpartition(".")[2]
    return _BY_SIGNING_NAME.get(own, own)


def _target_prefix(head: Head) -> bytes | None:
    """Return what a service calls itself in its clients' requests, None when it does not."""
    if head.get(b"smithy-protocol") is not None:
        # /service/PREFIX/operation/NAME
        return head.path.removeprefix(b"/service/").partition(b"/")[0]
    target = head.get(b"x-amz-target")
    return None if target is None else target.partition(b".")[0]
