"""The aws-chunked framing, against AWS's own worked examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.aws import sigv4
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.framing import ChunkSigner, Unframed

# The examples in "Signature calculations for the Authorization header: transferring payload in
# multiple chunks" and "… including trailing headers", S3 API Reference: credentials, seeds, sums.
SCOPE = "20130524/us-east-1/s3/aws4_request"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SIGNATURES = (
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
)
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
TRAILER_SIGNATURES = (
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
)
TRAILER_SIGNATURE = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
CHUNKS = (b"a" * 65536, b"a" * 1024, b"")


def signer(seed: str) -> ChunkSigner:
    key = sigv4.signing_key(SECRET, "20130524", "us-east-1", "s3")
    return ChunkSigner(key, "20130524T000000Z", SCOPE, seed)


def framed(chunks: tuple[bytes, ...], signatures: tuple[str, ...], trailers: bytes = b"") -> bytes:
    body = b""
    for chunk, signature in zip(chunks, signatures, strict=True):
        body += b"%x;chunk-signature=%s\r\n" % (len(chunk), signature.encode())
        body += chunk + b"\r\n" if chunk else b""
    return body + trailers + b"\r\n"


def unframed(body: bytes, signer: ChunkSigner | None = None) -> tuple[bytes, dict[str, str]]:
    taken = Unframed(signer)
    payload = b"".join(taken.feed(body))
    taken.finish()
    return payload, taken.trailers


def test_the_chunks_of_aws_own_example_are_accepted() -> None:
    """Java's SDK and other clients sign chunk by chunk; theirs is AWS's way or it is refused."""
    payload, trailers = unframed(framed(CHUNKS, SIGNATURES), signer(SEED))

    assert payload == b"a" * (65536 + 1024)
    assert trailers == {}


def test_the_signed_trailer_of_aws_own_example_is_accepted() -> None:
    """A trailing checksum is only worth something when nobody on the way could change it."""
    trailers = f"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{TRAILER_SIGNATURE}\r\n"
    body = framed(CHUNKS, TRAILER_SIGNATURES, trailers.encode())

    assert unframed(body, signer(TRAILER_SEED))[1] == {"x-amz-checksum-crc32c": "sOO8/Q=="}


@pytest.mark.parametrize("position", [10, 66_000, -200])
def test_a_changed_byte_in_a_signed_body_is_refused(position: int) -> None:
    """What was not sent by the holder of the key is not stored."""
    body = bytearray(framed(CHUNKS, SIGNATURES))
    body[position] ^= 1

    with pytest.raises(S3Error):
        unframed(bytes(body), signer(SEED))


def test_a_left_out_trailer_signature_is_refused() -> None:
    """Dropping the proof must not drop the check."""
    body = framed(CHUNKS, TRAILER_SIGNATURES, b"x-amz-checksum-crc32c:sOO8/Q==\r\n")

    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        unframed(body, signer(TRAILER_SEED))


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    st.dictionaries(st.from_regex(r"x-[a-z]{1,5}", fullmatch=True), st.just("AA=="), max_size=2),
    st.data(),
)
def test_a_body_means_the_same_however_the_network_cuts_it(
    chunks: list[bytes], trailers: dict[str, str], data: st.DataObject
) -> None:
    """TCP cuts anywhere: inside a size, a line end, a trailer."""
    lines = "".join(f"{name}:{value}\r\n" for name, value in trailers.items()).encode()
    body = b"".join(b"%X\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    body += b"0\r\n" + lines + b"\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    taken = Unframed()
    payload = b""
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        payload += b"".join(taken.feed(body[start:end]))
    taken.finish()

    assert payload == b"".join(chunks)
    assert taken.trailers == trailers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5\r\nhel",
        b"5\r\nhello\r\n",
        b"5\r\nhello world\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"5" * 2000,
        b"0\r\n\r\nmore",
        b"0\r\nnocolon\r\n\r\n",
        b"0\r\n" + b"x:y\r\n" * 5000 + b"\r\n",
    ],
)
def test_broken_framing_is_refused(body: bytes) -> None:
    """Half a body must never become an object, nor a strange one memory without end."""
    with pytest.raises(S3Error):
        unframed(body)
