"""Make `windtunnel/serving/tfs_api` from the official wheel, and prove that it is the same.

    pip download tensorflow-serving-api==VERSION --no-deps --dest DIRECTORY
    python scripts/make_tfs_api.py DIRECTORY/tensorflow_serving_api-VERSION-*.whl

Of the wheel only the descriptors of its messages are taken: what TensorFlow Serving's .proto files
say, as protoc serialised them. None of its code is run or copied. With --check nothing is written;
in both cases every message file is then imported and compared with the wheel's, byte for byte.
"""

import argparse
import ast
import hashlib
import importlib
import shutil
import sys
import zipfile
from pathlib import Path

from google.protobuf import descriptor_pb2

HERE = Path(__file__).parent.parent / "src" / "windtunnel" / "serving" / "tfs_api"
MODULES = HERE / "path"
DESCRIPTORS = HERE / "tensorflow_serving.binpb"
NOTICE = """\
tensorflow_serving.binpb holds the descriptors of TensorFlow Serving's messages, serialised,
as they are in the Python package tensorflow-serving-api {version}
({wheel}, SHA-256
{digest}).

Copyright Google Inc. All Rights Reserved.
Licensed under the Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0

Made by scripts/make_tfs_api.py.
"""
MODULE = '''\
"""{what} of TensorFlow Serving, see `windtunnel.serving.tfs_api`."""

from windtunnel.serving.tfs_api.descriptors import {function}

{function}(globals(), "{file}")
'''
PACKAGE = '"""TensorFlow Serving\'s messages, see `windtunnel.serving.tfs_api`."""\n'


def main() -> int:
    """Write the modules, unless they are only to be checked; return 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with zipfile.ZipFile(options.wheel) as wheel:
        texts = {name: wheel.read(name).decode() for name in wheel.namelist()}
    files = {
        name.removesuffix("_pb2.py") + ".proto": read_descriptor(text)
        for name, text in sorted(texts.items())
        if name.endswith("_pb2.py")
    }
    services = [
        name.removesuffix("_pb2_grpc.py") + ".proto"
        for name in sorted(texts)
        if name.endswith("_pb2_grpc.py")
    ]
    if not options.check:
        write(files, services, options.wheel)
    differing = compare(files)
    print(f"{len(files)} files of messages, {len(differing)} differ from the wheel's", *differing)
    return 1 if differing else 0


def read_descriptor(text: str) -> bytes:
    """Return the serialised descriptor that a generated module hands to protobuf."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile":
            (argument,) = node.args
            assert isinstance(argument, ast.Constant)
            assert isinstance(argument.value, bytes)
            return argument.value
    raise ValueError("a module without a descriptor")


def write(files: dict[str, bytes], services: list[str], wheel: Path) -> None:
    """Replace what is there."""
    found = descriptor_pb2.FileDescriptorSet()
    for text in files.values():
        found.file.append(descriptor_pb2.FileDescriptorProto.FromString(text))
    DESCRIPTORS.write_bytes(found.SerializeToString(deterministic=True))
    notice = NOTICE.format(
        version=wheel.name.split("-")[1],
        wheel=wheel.name,
        digest=hashlib.sha256(wheel.read_bytes()).hexdigest(),
    )
    (HERE / "NOTICE").write_text(notice)
    shutil.rmtree(MODULES, ignore_errors=True)
    for suffix, function, names in (
        ("_pb2.py", "fill_messages", list(files)),
        ("_pb2_grpc.py", "fill_services", services),
    ):
        for name in names:
            path = MODULES / (name.removesuffix(".proto") + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            what = "Messages" if function == "fill_messages" else "Services"
            path.write_text(MODULE.format(what=what, function=function, file=name))
    for directory in {path.parent for path in MODULES.rglob("*.py")} | {
        MODULES / "tensorflow_serving"
    }:
        (directory / "__init__.py").write_text(PACKAGE)


def compare(files: dict[str, bytes]) -> list[str]:
    """Return the files whose messages, when imported, are not the wheel's."""
    sys.path.insert(0, str(MODULES))
    differing = []
    for name, text in files.items():
        module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
        assert Path(module.__file__ or "").is_relative_to(MODULES)
        if module.DESCRIPTOR.serialized_pb != text:
            differing.append(name)
    return differing


if __name__ == "__main__":
    sys.exit(main())
