"""A PredictRequest and a PredictResponse as bytes, their tensors as views and chunks.

All but the tensors is small and protobuf's; the tensors are `tensor_proto.py`'s. So a picture is
copied by no one between gRPC and the engine, and a mask once, into the answer.
"""

from collections.abc import Mapping
from typing import Any

from tensorflow_serving.apis import predict_pb2

from windtunnel.serving.codecs.tensor_proto import Array, encode_tensor
from windtunnel.serving.codecs.wire import LENGTH, read_entry, read_fields, write_field

# Numbers of fields: predict.proto, and those of any map's entry.
_REQUEST_INPUTS = 2
_RESPONSE_OUTPUTS = 1
_KEY, _VALUE = 1, 2


def split_request(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Return a PredictRequest without its inputs, and each input's serialised TensorProto.

    Raises protobuf's DecodeError, or WireError, for what is no message.
    """
    message = memoryview(data)
    small: list[memoryview] = []
    inputs: dict[str, memoryview] = {}
    for field in read_fields(message):
        if field.number == _REQUEST_INPUTS and field.wire_type == LENGTH:
            name, pieces = read_entry(field.payload)
            # Of equal names the last counts; a message in pieces is theirs, joined.
            inputs[name] = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
        else:
            small.append(message[field.begin : field.end])
    return predict_pb2.PredictRequest.FromString(b"".join(small)), inputs


def join_response(response: Any, outputs: Mapping[str, Array]) -> bytes:  # noqa: ANN401 - untyped
    """Return a PredictResponse with these outputs; raise TensorError for what none can hold."""
    chunks: list[bytes | memoryview] = [response.SerializeToString()]
    for name, values in outputs.items():
        entry = [*write_field(_KEY, [name.encode()]), *write_field(_VALUE, encode_tensor(values))]
        chunks += write_field(_RESPONSE_OUTPUTS, entry)
    # The one copy on the way out.
    return b"".join(chunks)
