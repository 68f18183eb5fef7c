"""Which AWS service a request is for.

One port answers for all of them. What the client signed for is the surest sign (the credential
scope names the service); what it sent tells the rest apart.
"""

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


def identify(head: Head, signed_for: str | None) -> str:
    """Return botocore's name of the service that a request is for.

    `signed_for` is the signing name in the credential scope, None when nothing is signed. What
    cannot be told otherwise is S3's, whose paths may be anything; AWS's own hosts decide so, too.
    """
    if head.path.startswith(b"/endpoints/") and signed_for in (None, "sagemaker"):
        return "sagemaker-runtime"
    if signed_for is not None:
        return _BY_SIGNING_NAME.get(signed_for, signed_for)
    target = head.get(b"x-amz-target")
    if target is not None:
        return _BY_TARGET_PREFIX.get(target.partition(b".")[0], "sagemaker")
    content_type = head.get(b"content-type")
    if head.method == b"POST" and content_type is not None:
        if content_type.startswith(b"application/x-www-form-urlencoded"):
            return "sts"
        if content_type.startswith(b"application/x-amz-json"):
            return "sagemaker"
    return "s3"
