"""Which operation a request asks for, by the name AWS gives it.

Rule: pure, and complete: every operation of the S3 API has a name here, so that what is not offered
can be refused by name. A test compares this with botocore's model of S3.
"""

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.request import Request

_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}

# Sub-resources whose operations are a verb and a noun: `GET ?cors` is GetBucketCors.
_BUCKET_NOUNS = {
    "abac": "BucketAbac",
    "accelerate": "BucketAccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "metadataConfiguration": "BucketMetadataConfiguration",
    "metadataTable": "BucketMetadataTableConfiguration",
    "notification": "BucketNotificationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
# The same, but several of a kind, each with an `id`; without one, GET lists them.
_BUCKET_COLLECTIONS = {
    "analytics": "BucketAnalyticsConfiguration",
    "intelligent-tiering": "BucketIntelligentTieringConfiguration",
    "inventory": "BucketInventoryConfiguration",
    "metrics": "BucketMetricsConfiguration",
}
_OBJECT_NOUNS = {
    "acl": "ObjectAcl",
    "annotation": "ObjectAnnotation",
    "attributes": "ObjectAttributes",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
    "torrent": "ObjectTorrent",
}
# What follows neither form: (method, sub-resource) and its name.
_BUCKET_NAMED = {
    ("DELETE", "lifecycle"): "DeleteBucketLifecycle",
    ("GET", "session"): "CreateSession",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", "versions"): "ListObjectVersions",
    ("POST", "delete"): "DeleteObjects",
    ("POST", "metadataConfiguration"): "CreateBucketMetadataConfiguration",
    ("POST", "metadataTable"): "CreateBucketMetadataTableConfiguration",
    ("PUT", "metadataAnnotationTable"): "UpdateBucketMetadataAnnotationTableConfiguration",
    ("PUT", "metadataInventoryTable"): "UpdateBucketMetadataInventoryTableConfiguration",
    ("PUT", "metadataJournalTable"): "UpdateBucketMetadataJournalTableConfiguration",
}
_OBJECT_NAMED = {
    ("POST", "restore"): "RestoreObject",
    ("POST", "select"): "SelectObjectContent",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "encryption"): "UpdateObjectEncryption",
    ("PUT", "renameObject"): "RenameObject",
}
_BUCKET_PLAIN = {
    "DELETE": "DeleteBucket",
    "GET": "ListObjects",
    "HEAD": "HeadBucket",
    # An HTML form's upload; not in the SDKs' models.
    "POST": "PostObject",
    "PUT": "CreateBucket",
}
_OBJECT_PLAIN = {
    "DELETE": "DeleteObject",
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
}
_UPLOAD = {
    "DELETE": "AbortMultipartUpload",
    "GET": "ListParts",
    "POST": "CompleteMultipartUpload",
    "PUT": "UploadPart",
}
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}


def operation_name(request: Request) -> str:
    """Return the name of the operation that a request asks for."""
    if not request.bucket:
        if request.method == "GET":
            return "ListBuckets"
        raise S3Error("MethodNotAllowed", Method=request.method, ResourceType="SERVICE")
    name = _object_operation(request) if request.key else _bucket_operation(request)
    if name is None:
        kind = "OBJECT" if request.key else "BUCKET"
        raise S3Error("MethodNotAllowed", Method=request.method, ResourceType=kind)
    return name


def _bucket_operation(request: Request) -> str | None:
    method, query = request.method, request.query
    for subresource in query:
        if (named := _BUCKET_NAMED.get((method, subresource))) is not None:
            return named
        if (noun := _BUCKET_NOUNS.get(subresource)) is not None:
            return f"{_VERBS[method]}{noun}" if method in _VERBS else None
        if (noun := _BUCKET_COLLECTIONS.get(subresource)) is not None:
            if method == "GET" and "id" not in query:
                return f"List{noun}s"
            return f"{_VERBS[method]}{noun}" if method in _VERBS else None
    if method == "GET" and query.get("list-type") == "2":
        return "ListObjectsV2"
    return _BUCKET_PLAIN.get(method)


def _object_operation(request: Request) -> str | None:
    method, query = request.method, request.query
    for subresource in query:
        if (named := _OBJECT_NAMED.get((method, subresource))) is not None:
            return named
        if (noun := _OBJECT_NOUNS.get(subresource)) is not None:
            if subresource == "annotation" and method == "GET" and "annotationName" not in query:
                return "ListObjectAnnotations"
            return f"{_VERBS[method]}{noun}" if method in _VERBS else None
    name = (_UPLOAD if "uploadId" in query else _OBJECT_PLAIN).get(method)
    if name is not None and "x-amz-copy-source" in request.headers:
        return _COPIES.get(name, name)
    return name
