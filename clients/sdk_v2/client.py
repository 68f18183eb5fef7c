"""The AIM406 workshop's notebook through the SageMaker Python SDK v2, from upload to delete.

Usage: client.py MODEL.tar.gz, an archive with a convolution without bias and a sigmoid over
pictures of 8 x 8: a black one answers 0.5 everywhere. Every line printed is a step whose outcome
was checked.
"""

import json
import pathlib
import sys
import tempfile
import urllib.parse

import boto3
import sagemaker
from botocore.exceptions import ClientError
from sagemaker import get_execution_role
from sagemaker.deserializers import JSONDeserializer
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer
from sagemaker.tensorflow.serving import Model

INSTANCE_TYPE = "ml.g4dn.16xlarge"
# The workshop's own: 8 single-threaded model servers (and gunicorn workers that only an
# `inference.py` would use).
ENVIRONMENT = {
    "SAGEMAKER_GUNICORN_WORKERS": "64",
    "SAGEMAKER_TFS_INTER_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
    "SAGEMAKER_TFS_INSTANCE_COUNT": "8",
}

# Makes pictures of a number, and a number of each answer.
SCRIPT = """
import json
import numpy as np

def input_handler(data, context):
    count = json.load(data)["black"]
    return json.dumps({"instances": np.zeros((count, 8, 8, 3)).tolist()})

def output_handler(response, context):
    means = np.mean(response.json()["predictions"], axis=(1, 2, 3))
    return json.dumps({"means": means.tolist()}), context.accept_header
"""


def main(archive: str) -> None:
    """Play the notebook."""
    session = sagemaker.Session()
    role = get_execution_role()
    assert role.startswith("arn:aws:iam::"), role
    print(f"ok: get_execution_role: {role}")

    bucket = session.default_bucket()
    assert bucket == f"sagemaker-{session.boto_region_name}-{session.account_id()}", bucket
    print(f"ok: default_bucket: {bucket}")

    model_data = session.upload_data(path=archive, key_prefix="model")
    where = urllib.parse.urlparse(model_data)
    stored = boto3.client("s3").head_object(Bucket=where.netloc, Key=where.path.lstrip("/"))
    assert stored["ContentLength"] > 0, stored
    print(f"ok: upload_data: {model_data}")

    model = Model(
        model_data=model_data, role=role, framework_version="1.15.3", env=dict(ENVIRONMENT)
    )
    predictor = model.deploy(initial_instance_count=1, instance_type=INSTANCE_TYPE)
    described = describe(predictor)
    assert described["EndpointStatus"] == "InService", described
    print(f"ok: deploy: {predictor.endpoint_name}")

    check_answers(predictor)
    print("ok: predict")

    before = described["EndpointConfigName"]
    predictor.update_endpoint(initial_instance_count=2, instance_type=INSTANCE_TYPE)
    described = describe(predictor)
    assert described["EndpointStatus"] == "InService", described
    assert described["EndpointConfigName"] != before, described
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2, described
    check_answers(predictor)
    print("ok: update_endpoint: two instances")

    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)
    check_gone(predictor)
    print("ok: delete_model, delete_endpoint")

    play_entry_point(model_data, role)
    play_many_models(archive, session, role)
    play_compile(model_data, bucket, role)


def play_entry_point(model_data: str, role: str) -> None:
    """Deploy the same model behind a script, which the SDK packs into the archive."""
    with tempfile.TemporaryDirectory() as directory:
        script = pathlib.Path(directory, "inference.py")
        script.write_text(SCRIPT)
        model = Model(
            model_data=model_data,
            role=role,
            framework_version="1.15.3",
            entry_point=str(script),
            env={"SAGEMAKER_GUNICORN_WORKERS": "2"},
        )
        predictor = model.deploy(initial_instance_count=1, instance_type=INSTANCE_TYPE)
    answer = predictor.predict({"black": 2})
    assert answer == {"means": [0.5, 0.5]}, answer
    print("ok: entry_point: input_handler and output_handler")

    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)
    check_gone(predictor)


def play_many_models(archive: str, session: sagemaker.Session, role: str) -> None:
    """Deploy an endpoint without models, then add two and ask each by its name."""
    prefix = f"s3://{session.default_bucket()}/many/"
    model = Model(
        model_data=prefix, role=role, framework_version="1.15.3", sagemaker_session=session
    )
    many = MultiDataModel("many-models", prefix, model=model, sagemaker_session=session)
    predictor = many.deploy(initial_instance_count=1, instance_type=INSTANCE_TYPE)
    for name in ("first.tar.gz", "below/second.tar.gz"):
        many.add_model(archive, name)
    names = list(many.list_models())
    assert sorted(names) == ["below/second.tar.gz", "first.tar.gz"], names
    black = {"instances": [[[[0, 0, 0]] * 8] * 8]}
    plain = Predictor(many.endpoint_name, session, JSONSerializer(), JSONDeserializer())
    for name in names:
        answer = plain.predict(black, target_model=name)
        assert answer == {"predictions": [[[[0.5]] * 8] * 8]}, answer
        # TensorFlow's own predictor has no `target_model`.
        assert predictor.predict(black, initial_args={"TargetModel": name}) == answer
    print("ok: MultiDataModel: deploy, add_model, list_models, target_model")

    predictor.delete_model()
    predictor.delete_endpoint(delete_endpoint_config=True)
    check_gone(predictor)


def play_compile(model_data: str, bucket: str, role: str) -> None:
    """Compile the model for a CPU and a GPU family, as the workshop does with Neo, and deploy it.

    The shape that it is compiled for is smaller than the pictures that it is then sent: so are the
    workshop's 224 and 256.
    """
    for family, instance_type in (("ml_c5", "ml.c5.xlarge"), ("ml_g4dn", "ml.g4dn.16xlarge")):
        name = f"sdk-v2-{family.replace('_', '-')}"
        model = Model(model_data=model_data, role=role, framework_version="2.9")
        compiled = model.compile(
            target_instance_family=family,
            input_shape={"inputs": [1, 6, 6, 3]},
            output_path=f"s3://{bucket}/compiled",
            job_name=name,
            framework="tensorflow",
            framework_version="2.9",
            role=role,
        )
        job = boto3.client("sagemaker").describe_compilation_job(CompilationJobName=name)
        assert job["CompilationJobStatus"] == "COMPLETED", job
        assert compiled.image_uri == job["InferenceImage"], compiled.image_uri
        stem = pathlib.PurePosixPath(model_data).name.removesuffix(".tar.gz")
        assert compiled.model_data == f"s3://{bucket}/compiled/{stem}-{family}.tar.gz", job
        print(f"ok: compile: {compiled.image_uri}")

        predictor = compiled.deploy(initial_instance_count=1, instance_type=instance_type)
        check_answers(predictor)
        print(f"ok: deploy: compiled for {family}, with larger pictures")
        predictor.delete_model()
        predictor.delete_endpoint(delete_endpoint_config=True)
        check_gone(predictor)


def describe(predictor: Predictor) -> dict[str, object]:
    """Return what the service says of the predictor's endpoint."""
    client = boto3.client("sagemaker")
    return client.describe_endpoint(EndpointName=predictor.endpoint_name)


def check_answers(predictor: Predictor) -> None:
    """Ask for the same picture by the predictor, and as the workshop does."""
    black = [[[[0, 0, 0]] * 8] * 8]
    answer = predictor.predict({"instances": black})
    assert answer == {"predictions": [[[[0.5]] * 8] * 8]}, answer
    white = [[[[255, 255, 255]] * 8] * 8]
    assert predictor.predict({"instances": white}) != answer

    # The workshop sends its pictures so: a bare list, no `instances`.
    response = boto3.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=predictor.endpoint_name,
        ContentType="application/json",
        Body=json.dumps(black),
    )
    assert json.load(response["Body"]) == answer
    assert response["InvokedProductionVariant"] == "AllTraffic", response


def check_gone(predictor: Predictor) -> None:
    """An endpoint that was deleted is deleting, then unknown."""
    client = boto3.client("sagemaker")
    client.get_waiter("endpoint_deleted").wait(
        EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    try:
        describe(predictor)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException", error
        assert "Could not find endpoint" in str(error), error
    else:
        raise AssertionError("The endpoint is still there.")


if __name__ == "__main__":
    main(sys.argv[1])
