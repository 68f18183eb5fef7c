"""The operations that are offered, by the names AWS gives them. What is not here is refused."""

from windtunnel.cloud.foundation.s3.operations import (
    acls,
    buckets,
    copies,
    listings,
    multipart,
    objects,
    tags,
)
from windtunnel.cloud.foundation.s3.operations.call import Operation

OPERATIONS = {
    "AbortMultipartUpload": Operation(multipart.abort_multipart_upload),
    "CompleteMultipartUpload": Operation(
        multipart.complete_multipart_upload, is_checksum_of_object=True
    ),
    "CopyObject": Operation(copies.copy_object),
    "CreateBucket": Operation(buckets.create_bucket),
    "CreateMultipartUpload": Operation(multipart.create_multipart_upload),
    "DeleteBucket": Operation(buckets.delete_bucket),
    "DeleteBucketTagging": Operation(buckets.delete_bucket_tagging),
    "DeleteObject": Operation(objects.delete_object),
    "DeleteObjectTagging": Operation(tags.delete_object_tagging),
    "DeleteObjects": Operation(objects.delete_objects),
    "GetBucketAcl": Operation(acls.get_bucket_acl),
    "GetBucketLocation": Operation(buckets.get_bucket_location),
    "GetBucketTagging": Operation(buckets.get_bucket_tagging),
    "GetBucketVersioning": Operation(buckets.get_bucket_versioning),
    "GetObject": Operation(objects.get_object),
    "GetObjectAcl": Operation(acls.get_object_acl),
    "GetObjectTagging": Operation(tags.get_object_tagging),
    "HeadBucket": Operation(buckets.head_bucket),
    "HeadObject": Operation(objects.head_object),
    "ListBuckets": Operation(buckets.list_buckets),
    "ListMultipartUploads": Operation(listings.list_multipart_uploads),
    "ListObjects": Operation(listings.list_objects),
    "ListObjectsV2": Operation(listings.list_objects_v2),
    "ListParts": Operation(listings.list_parts),
    "PutBucketAcl": Operation(acls.put_bucket_acl),
    "PutBucketTagging": Operation(buckets.put_bucket_tagging),
    "PutObject": Operation(
        objects.put_object,
        streams=True,
        admit=objects.admit_put,
    ),
    "PutObjectAcl": Operation(acls.put_object_acl),
    "PutObjectTagging": Operation(tags.put_object_tagging),
    "UploadPart": Operation(
        multipart.upload_part,
        streams=True,
        admit=multipart.admit_part,
    ),
    "UploadPartCopy": Operation(copies.upload_part_copy),
}
