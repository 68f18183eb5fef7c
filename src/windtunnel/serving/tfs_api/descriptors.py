"""From descriptors to modules: what protoc's generated code does, in a loop.

Messages go into protobuf's default pool, under the names that the official modules give them, so
that either may come first in a process. TensorFlow's own messages, which these contain, are those
of the installed TensorFlow.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import builder

_FILE = Path(__file__).parent / "tensorflow_serving.binpb"


def fill_messages(namespace: dict[str, Any], file: str) -> None:
    """Make a module hold the messages and enumerations of a .proto file."""
    descriptor = _register(file)
    namespace["DESCRIPTOR"] = descriptor
    # Internal to protobuf, but what all generated code of its last major versions calls.
    builder.BuildMessageAndEnumDescriptors(descriptor, namespace)
    builder.BuildTopDescriptorsAndMessages(descriptor, namespace["__name__"], namespace)


def fill_services(namespace: dict[str, Any], file: str) -> None:
    """Make a module hold the stubs and servicers of a .proto file's services."""
    for service in _register(file).services_by_name.values():
        methods = {method.name: _Method(service, method) for method in service.methods}
        namespace[f"{service.name}Stub"] = _make_stub(namespace["__name__"], service, methods)
        namespace[f"{service.name}Servicer"] = _make_servicer(
            namespace["__name__"], service, methods
        )
        namespace[f"add_{service.name}Servicer_to_server"] = functools.partial(
            _add_servicer, service.full_name, methods
        )


@functools.cache
def _register(file: str) -> Any:  # noqa: ANN401 - protobuf ships no types
    """Return a file's descriptor, put into the pool behind all that it imports."""
    described = _described()[file]
    for dependency in described.dependency:
        # Of ours, or TensorFlow's, or protobuf's own: registered by its module.
        importlib.import_module(dependency.removesuffix(".proto").replace("/", ".") + "_pb2")
    pool = descriptor_pool.Default()
    return pool.AddSerializedFile(described.SerializeToString())


@functools.cache
def _described() -> Mapping[str, Any]:
    files = descriptor_pb2.FileDescriptorSet.FromString(_FILE.read_bytes()).file
    return {file.name: file for file in files}


class _Method:
    """One method of a service; all of them take one message and give one."""

    def __init__(self, service: Any, method: Any) -> None:  # noqa: ANN401 - protobuf is untyped
        assert not method.client_streaming
        assert not method.server_streaming
        self.path = f"/{service.full_name}/{method.name}"
        self.request = message_factory.GetMessageClass(method.input_type)
        self.response = message_factory.GetMessageClass(method.output_type)


def _make_stub(module: str, service: Any, methods: Mapping[str, _Method]) -> type:  # noqa: ANN401
    def initialise(self: object, channel: Any) -> None:  # noqa: ANN401 - gRPC is untyped
        for name, method in methods.items():
            call = channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            setattr(self, name, call)

    document = f"Calls {service.full_name} through a grpc.Channel."
    members = {"__module__": module, "__doc__": document, "__init__": initialise}
    return type(f"{service.name}Stub", (), members)


def _make_servicer(module: str, service: Any, methods: Mapping[str, _Method]) -> type:  # noqa: ANN401
    def refuse(self: object, request: Any, context: Any) -> None:  # noqa: ANN401 - gRPC is untyped
        import grpc

        del self, request
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError("Method not implemented!")

    members: dict[str, Callable[..., None] | str] = dict.fromkeys(methods, refuse)
    members |= {"__module__": module, "__doc__": f"What serves {service.full_name}."}
    return type(f"{service.name}Servicer", (), members)


def _add_servicer(
    name: str,
    methods: Mapping[str, _Method],
    servicer: Any,  # noqa: ANN401 - gRPC is untyped
    server: Any,  # noqa: ANN401 - gRPC is untyped
) -> None:
    import grpc

    handlers = {
        key: grpc.unary_unary_rpc_method_handler(
            getattr(servicer, key),
            request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString,
        )
        for key, method in methods.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
