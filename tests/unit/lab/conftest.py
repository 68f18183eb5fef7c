"""A small AWS of the lab's tests: enough of its services to be deployed to and to be billed by.

It is a fake of the outside world. It speaks over a real socket, keeps what it is told in
dictionaries, and remembers every request, so that a test can say what was asked and by whom.
"""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from windtunnel.core.home import CloudRecord, Home
from windtunnel.lab.target import Target, TargetOptions, open_target

ACCOUNT = "000000000000"


@dataclass
class Asked:
    """One request that came in."""

    method: str
    path: str
    action: str
    headers: dict[str, str]
    body: bytes
    # The client's port: what came over one connection has the same.
    port: int


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of the fake
    """An error the fake answers with, in SageMaker's form."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.message, self.code, self.status = message, code, status


@dataclass
class FakeAws:
    """What the fake keeps, and how it behaves."""

    url: str = ""
    # Stops taking connections; what is connected stays.
    close: Callable[[], None] = lambda: None
    asked: list[Asked] = field(default_factory=list)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    buckets: dict[str, dict[str, tuple[bytes, dict[str, str]]]] = field(default_factory=dict)
    # What an endpoint becomes, one status a DescribeEndpoint; the last one stays.
    statuses: list[str] = field(default_factory=lambda: ["Creating", "InService"])
    failure_reason: str = ""
    # Who calls, and the roles that IAM knows, by name.
    caller: str = f"arn:aws:iam::{ACCOUNT}:root"
    roles: dict[str, str] = field(default_factory=dict)
    # What the price list holds, product by product; None: the caller may not ask it.
    products: list[str] | None = None
    # What Application Auto Scaling keeps; None: there is no such service.
    scalable_targets: list[dict[str, Any]] | None = field(default_factory=list)
    scaling_policies: list[dict[str, Any]] = field(default_factory=list)
    # How many instances a variant has by now, where that is not what it began with.
    instance_counts: dict[str, int] = field(default_factory=dict)
    # Looks at each request first, and may refuse it.
    gate: Callable[[Asked], None] = lambda _asked: None
    # What an invocation answers: status, headers, body.
    answer: Callable[[Asked], tuple[int, dict[str, str], bytes]] = lambda asked: (
        200,
        {"Content-Type": "application/json"},
        asked.body,
    )

    def actions(self) -> list[str]:
        """Return the names of what was asked, in order."""
        return [asked.action for asked in self.asked]

    def sagemaker(self, action: str, words: dict[str, Any]) -> dict[str, Any]:
        """Carry out one call of the control plane."""
        kinds = {
            "Model": self.models,
            "EndpointConfig": self.configs,
            "Endpoint": self.endpoints,
        }
        if action == "GetProducts":
            if self.products is None:
                raise Refusal("You may not ask for prices.", "AccessDeniedException")
            return {"FormatVersion": "aws_v1", "PriceList": self.products}
        if action in {"DescribeScalableTargets", "DescribeScalingPolicies"}:
            return self._scaling(action, words)
        if action == "ListTags":
            return {"Tags": self.tags.get(words["ResourceArn"], [])}
        for kind in sorted(kinds, key=len, reverse=True):
            if action == f"List{kind}s":
                names = list(kinds[kind])
                return {
                    f"{kind}s": [
                        {f"{kind}Name": name, f"{kind}Arn": _arn(kind, name), "CreationTime": 0}
                        for name in names
                    ]
                }
            verb = action.removesuffix(kind)
            if verb in {"Create", "Describe", "Delete"}:
                return self._one(verb, kind, kinds[kind], words)
        raise Refusal(f"the fake knows no {action}")

    def _scaling(self, action: str, words: dict[str, Any]) -> dict[str, Any]:
        if self.scalable_targets is None:
            raise Refusal(f"There is no {action} here.", "UnsupportedOperationException")
        assert words["ServiceNamespace"] == "sagemaker"
        if action == "DescribeScalableTargets":
            asked = words["ResourceIds"]
            found = [each for each in self.scalable_targets if each["ResourceId"] in asked]
            return {"ScalableTargets": found}
        asked = words["ResourceId"]
        found = [each for each in self.scaling_policies if each["ResourceId"] == asked]
        return {"ScalingPolicies": found}

    def _one(
        self, verb: str, kind: str, things: dict[str, dict[str, Any]], words: dict[str, Any]
    ) -> dict[str, Any]:
        name = words[f"{kind}Name"]
        arn = _arn(kind, name)
        if verb == "Create":
            if name in things:
                raise Refusal(f'Cannot create already existing {kind.lower()} "{arn}".')
            things[name] = {**words, "described": 0}
            self.tags[arn] = words.get("Tags", [])
            return {f"{kind}Arn": arn}
        if name not in things:
            raise Refusal(f'Could not find {kind.lower()} "{arn}".')
        if verb == "Delete":
            del things[name]
            return {}
        thing = things[name]
        answer = {**thing, f"{kind}Arn": arn, "CreationTime": 0, "LastModifiedTime": 0}
        if kind == "Endpoint":
            step = min(thing["described"], len(self.statuses) - 1)
            thing["described"] += 1
            answer["EndpointStatus"] = self.statuses[step]
            variants = self.configs[thing["EndpointConfigName"]]["ProductionVariants"]
            answer["ProductionVariants"] = [
                {
                    "VariantName": variant["VariantName"],
                    "CurrentInstanceCount": self.instance_counts.get(
                        variant["VariantName"], variant["InitialInstanceCount"]
                    ),
                }
                for variant in variants
            ]
            if self.failure_reason:
                answer["FailureReason"] = self.failure_reason
        return answer


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:{kind.lower()}/{name.lower()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer's head and body leave one after the other: without waiting for the client's word.
    disable_nagle_algorithm = True
    aws: FakeAws

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _serve(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        target = headers.get("x-amz-target", "")
        path = urlsplit(self.path).path
        asked = Asked(
            *(self.command, self.path, target.rpartition(".")[2], headers, body),
            port=self.client_address[1],
        )
        if not target:
            asked.action = "InvokeEndpoint" if path.endswith("/invocations") else self._s3_action()
            if path == "/":
                asked.action = parse_qs(body.decode()).get("Action", ["ListBuckets"])[0]
        self.aws.asked.append(asked)
        try:
            self.aws.gate(asked)
            if target:
                answer = self.aws.sagemaker(asked.action, json.loads(body))
                self._answer(200, json.dumps(answer).encode(), "application/x-amz-json-1.1")
            elif asked.action == "InvokeEndpoint":
                status, extra, answer_body = self.aws.answer(asked)
                self._answer(status, answer_body, **extra)
            elif asked.action == "GetCallerIdentity":
                self._answer(200, _identity(self.aws.caller).encode(), "text/xml")
            elif asked.action == "AssumeRole":
                self._answer(200, _session_of_a_role().encode(), "text/xml")
            elif asked.action == "GetRole":
                self._get_role(parse_qs(body.decode())["RoleName"][0])
            else:
                self._s3(asked, path)
        except Refusal as refusal:
            text = json.dumps({"__type": refusal.code, "message": refusal.message})
            self._answer(refusal.status, text.encode(), "application/x-amz-json-1.1")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            # BaseHTTPRequestHandler has sent the 100 already.
            pass
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _get_role(self, name: str) -> None:
        arn = self.aws.roles.get(name)
        if arn is None:
            text = (
                "<ErrorResponse><Error><Code>NoSuchEntity</Code>"
                f"<Message>The role with name {name} cannot be found.</Message></Error>"
                "</ErrorResponse>"
            )
            self._answer(404, text.encode(), "text/xml")
        else:
            self._answer(200, _role(name, arn).encode(), "text/xml")

    def _s3_action(self) -> str:
        return f"s3:{self.command}"

    def _s3(self, asked: Asked, path: str) -> None:
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        buckets = self.aws.buckets
        if asked.method == "PUT" and not key:
            buckets[bucket] = {}
            self._answer(200, b"")
        elif bucket not in buckets:
            self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>", "application/xml")
        elif asked.method == "PUT":
            metadata = {
                name.removeprefix("x-amz-meta-"): value
                for name, value in asked.headers.items()
                if name.startswith("x-amz-meta-")
            }
            buckets[bucket][key] = (asked.body, metadata)
            self._answer(200, b"")
        elif asked.method == "DELETE":
            buckets[bucket].pop(key, None)
            self._answer(204, b"")
        elif asked.method == "HEAD" and key:
            _, metadata = buckets[bucket][key]
            self._answer(200, b"", **{f"x-amz-meta-{k}": v for k, v in metadata.items()})
        elif asked.method == "HEAD":
            self._answer(200, b"")
        else:
            prefix = parse_qs(urlsplit(asked.path).query).get("prefix", [""])[0]
            items = "".join(
                f"<Contents><Key>{name}</Key></Contents>"
                for name in buckets[bucket]
                if name.startswith(prefix)
            )
            text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
            self._answer(200, text.encode(), "application/xml")

    def _answer(
        self, status: int, body: bytes, content_type: str = "text/plain", **extra: str
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **extra}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _identity(arn: str) -> str:
    return f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{ACCOUNT}</UserId>
<Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


def _session_of_a_role() -> str:
    expiration = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    return f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token-of-a-role</SessionToken>
<Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def _role(name: str, arn: str) -> str:
    return f"""<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
<GetRoleResult><Role><Path>/</Path><RoleName>{name}</RoleName><RoleId>AROA0000000000000000</RoleId>
<Arn>{arn}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></Role></GetRoleResult>
</GetRoleResponse>"""


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """Return a fake AWS that answers at `aws.url`."""
    fake = FakeAws()
    handler = type("Handler", (_Handler,), {"aws": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    # Load generators connect all users at once.
    server.request_queue_size = 128
    server.server_activate()
    fake.close = server.socket.close
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def home(aws: FakeAws, tmp_path: Path) -> Iterator[Home]:
    """Return a home whose cloud is the fake: locked and recorded as `up` does it."""
    made = Home(tmp_path / "home")
    with made.locked():
        made.write_record(CloudRecord(url=aws.url, pid=0, generation="test:0", warp=1.0))
        yield made


@pytest.fixture
def target(home: Home) -> Target:
    """Return the local target of that home."""
    return open_target(TargetOptions(home=home.path))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a small archive that looks like a packed SavedModel."""
    import tarfile

    inside = tmp_path / "saved_model.pb"
    inside.write_bytes(b"not a model")
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(inside, arcname="1/saved_model.pb")
    return path


@pytest.fixture
def payload_file(tmp_path: Path) -> Path:
    """Return a file with a request's body."""
    path = tmp_path / "payload.json"
    path.write_text('{"instances": [[1.0, 2.0]]}')
    return path


@pytest.fixture
def to_aws(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the words that lead a command to the fake as to AWS, with a key pair that lasts."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIACALLER",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("windtunnel.core.limits.DEPLOY_POLL_AWS_FIRST_S", 0.01)
    aws.caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/Builder/me"
    aws.roles["Builder"] = f"arn:aws:iam::{ACCOUNT}:role/service-role/Builder"
    return ["--cloud", "aws", "--region", "us-east-1", "--endpoint-url", aws.url]


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str


@pytest.fixture
def windtunnel(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Ran]:
    """Return a function that runs the command line in the home of the fake cloud."""
    from windtunnel.cli.main import main

    monkeypatch.setenv("WINDTUNNEL_HOME", str(home.path))
    # Others may keep the machine of a test busy, and any generator late. When lateness makes a run
    # invalid is told in test_validity.py; no other test is about that.
    monkeypatch.setattr("windtunnel.lab.validity.LAG_S_FLOOR", 0.5)

    def run(*words: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["windtunnel", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsysbinary.readouterr()
        return Ran(code, out, err.decode())

    return run


@pytest.fixture
def in_service(windtunnel: Callable[..., Ran], aws: FakeAws, archive: Path) -> str:
    """Return the name of an endpoint in service, of which nothing was asked yet."""
    aws.statuses = ["InService"]
    made = windtunnel("deploy", archive, "--endpoint-name", "unet")
    assert made.code == 0, made.err
    aws.asked.clear()
    return "unet"
