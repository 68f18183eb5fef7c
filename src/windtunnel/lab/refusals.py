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
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    SSLError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

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


# Whoever the caller is, it is not allowed to them.
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_DENIED_STATUS = 403
# A local cloud's word for what it does not have, and AWS's own.
_UNSUPPORTED_CODES = frozenset({"UnsupportedOperationException", "UnknownOperationException"})
# What botocore says, without a class of its own, of new credentials that have expired already.
_EXPIRED_AGAIN = "refreshed credentials are still expired"


class DeniedError(WindtunnelError):
    """The caller is known, and may not do this."""


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
        or code_of(error) in {"ResourceNotFound", "NoSuchBucket", "NoSuchKey", "NoSuchEntity"}
        or ("could not find" in words or "not found" in words or "does not exist" in words)
    )


def is_denied(error: ClientError) -> bool:
    """Say whether a refusal means that the caller, though known, may not do this."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = code_of(error)
    # S3 answers HEAD with a bare status.
    return code in _DENIED_CODES or (status == _DENIED_STATUS and code in {"403", "Forbidden"})


def is_unsupported(error: ClientError) -> bool:
    """Say whether a refusal means that there is no such service, or no such operation of it."""
    return code_of(error) in _UNSUPPORTED_CODES


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
        kind = DeniedError if is_denied(error) else WindtunnelError
        raise kind(f"Asking for {what} failed: {message_of(error)} ({code})") from error
    except (
        CredentialRetrievalError,
        NoCredentialsError,
        TokenRetrievalError,
        UnauthorizedSSOTokenError,
    ) as error:
        raise NotReadyError(
            f"No AWS credentials can be used ({error}): configure some, or use --profile."
        ) from error
    except NoRegionError as error:
        raise NotReadyError("No AWS region is configured: name one with --region.") from error
    except RuntimeError as error:
        if _EXPIRED_AGAIN not in str(error):
            raise
        raise NotReadyError(
            f"The AWS credentials have expired, and so have those that renewed them (when asking "
            f"for {what}): sign in again."
        ) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise _without_answer(error, what) from error


def _without_answer(error: Exception, what: str) -> WindtunnelError:
    """Return what to say where nobody gave an answer that AWS could have given."""
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError | ConnectionClosedError):
        return NotReadyError(f"Nothing answered when asking for {what}: {error}")
    if isinstance(error, SSLError):
        return NotReadyError(
            f"TLS failed when asking for {what}: {error}. If the certificate is one of your "
            "company's, name the file of its authority in AWS_CA_BUNDLE."
        )
    if isinstance(error, ReadTimeoutError):
        return WindtunnelError(f"No answer came in time when asking for {what}: {error}")
    if isinstance(error, ResponseParserError):
        # Its words have all of the answer in them.
        return NotReadyError(
            f"What answered when asking for {what} does not speak as AWS does: is --endpoint-url "
            "right?"
        )
    return WindtunnelError(f"Asking for {what} failed: {error}")
