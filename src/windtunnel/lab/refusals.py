"""What to tell a person when AWS, or the local cloud, says no.

Turns botocore's exceptions into the project's own, each one sentence with AWS's own wording in
it. Nothing here decides what to do about a refusal; whoever can act on one catches it first.
"""

import contextlib
from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from windtunnel.core.errors import NotReadyError, WindtunnelError

# The caller is unknown, unsigned or expired, whichever service says it.
_CREDENTIAL_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


def code_of(error: ClientError) -> str:
    """Return AWS's code of a refusal."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's own words; some refusals have none."""
    return str(error.response.get("Error", {}).get("Message") or code_of(error) or error)


def is_missing(error: ClientError) -> bool:
    """Say whether a refusal means that what was named does not exist.

    SageMaker has no code for it: it answers ValidationException, and only its words tell.
    """
    words = message_of(error).lower()
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return (
        status == 404  # noqa: PLR2004 - S3 answers HEAD with a bare status
        or code_of(error) in {"ResourceNotFound", "NoSuchBucket", "NoSuchKey"}
        or ("could not find" in words or "not found" in words or "does not exist" in words)
    )


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn whatever botocore raises while asking for `what` into one of our own errors."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in _CREDENTIAL_CODES:
            raise NotReadyError(
                f"The credentials were refused when asking for {what}: {message_of(error)} ({code})"
            ) from error
        raise WindtunnelError(f"Asking for {what} failed: {message_of(error)} ({code})") from error
    except (NoCredentialsError, TokenRetrievalError, UnauthorizedSSOTokenError) as error:
        raise NotReadyError(
            f"No AWS credentials can be used ({error}): configure some, or use --profile."
        ) from error
    except NoRegionError as error:
        raise NotReadyError("No AWS region is configured: name one with --region.") from error
    except (EndpointConnectionError, ConnectTimeoutError, ConnectionClosedError) as error:
        raise NotReadyError(f"Nothing answered when asking for {what}: {error}") from error
    except ReadTimeoutError as error:
        raise WindtunnelError(f"No answer came in time when asking for {what}: {error}") from error
    except BotoCoreError as error:
        raise WindtunnelError(f"Asking for {what} failed: {error}") from error
