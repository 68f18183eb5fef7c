"""A model's life through the SageMaker Python SDK v3: by ModelBuilder, and resource by resource.

Usage: client.py MODEL.tar.gz, an archive with TensorFlow Serving's model `half_plus_two`. Every
line printed is a step whose outcome was checked.
"""

import json
import sys

from botocore.exceptions import ClientError
from sagemaker.core import image_uris
from sagemaker.core.deserializers import JSONDeserializer
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import CompilationJob, Endpoint, EndpointConfig, Model
from sagemaker.core.serializers import JSONSerializer
from sagemaker.core.shapes import (
    ContainerDefinition,
    DesiredWeightAndCapacity,
    InputConfig,
    OutputConfig,
    ProductionVariant,
    StoppingCondition,
    Tag,
)
from sagemaker.serve import ModelBuilder

INSTANCE_TYPE = "ml.c5.xlarge"
# Two of each, for an A/B test.
NAMES = ("sdk-v3-blue", "sdk-v3-green")


def main(archive: str) -> None:
    """Deploy by ModelBuilder, then by hand."""
    session = Session()
    role = get_execution_role()
    bucket = session.default_bucket()
    model_data = session.upload_data(path=archive, key_prefix="model")
    assert model_data.startswith(f"s3://{bucket}/model/"), model_data
    image = image_uris.retrieve(
        "tensorflow",
        region=session.boto_region_name,
        version="2.16",
        instance_type=INSTANCE_TYPE,
        image_scope="inference",
    )
    print(f"ok: Session, get_execution_role, default_bucket, upload_data: {model_data}")

    by_model_builder(image, model_data)
    by_resources(image, model_data, role)
    by_compilation(model_data, f"s3://{bucket}/compiled", role)


def by_model_builder(image: str, model_data: str) -> None:
    """Let the SDK name and create what an endpoint needs."""
    builder = ModelBuilder(
        image_uri=image,
        s3_model_data_url=model_data,
        env_vars={"SAGEMAKER_TFS_INSTANCE_COUNT": "2"},
        instance_type=INSTANCE_TYPE,
    )
    model = builder.build(model_name="sdk-v3-built")
    assert model.primary_container.model_data_url == model_data, model
    print("ok: ModelBuilder.build")

    endpoint = builder.deploy(endpoint_name="sdk-v3-built", initial_instance_count=1)
    assert endpoint.endpoint_status == "InService", endpoint
    assert ask(endpoint) == [2.5, 3.0, 4.5]
    print("ok: ModelBuilder.deploy, invoke")

    config = EndpointConfig.get(endpoint_config_name=endpoint.endpoint_config_name)
    endpoint.delete()
    endpoint.wait_for_delete(poll=1)
    config.delete()
    model.delete()
    print("ok: delete")


def by_resources(image: str, model_data: str, role: str) -> None:
    """Create two variants, shift the weight, update to one, delete."""
    for name in NAMES:
        Model.create(
            model_name=name,
            primary_container=ContainerDefinition(image=image, model_data_url=model_data),
            execution_role_arn=role,
            tags=[Tag(key="team", value="wind")],
        )
    EndpointConfig.create(
        endpoint_config_name="sdk-v3-both",
        production_variants=[variant(name, 1.0) for name in NAMES],
    )
    endpoint = Endpoint.create(endpoint_name="sdk-v3", endpoint_config_name="sdk-v3-both")
    endpoint.wait_for_status("InService", poll=1, timeout=120)
    for name in NAMES:
        answer = endpoint.invoke(
            body='{"instances": [1.0]}', content_type="application/json", target_variant=name
        )
        assert answer.invoked_production_variant == name, answer
        assert json.load(answer.body) == {"predictions": [2.5]}
    print("ok: Model, EndpointConfig, Endpoint.create, invoke each variant")

    endpoint.update_weights_and_capacities(
        # Not 0.0, which this SDK leaves out of the request.
        [DesiredWeightAndCapacity(variant_name=NAMES[0], desired_weight=0.25)]
    )
    endpoint.wait_for_status("InService", poll=1, timeout=120)
    weights = {each.variant_name: each.current_weight for each in endpoint.production_variants}
    assert weights == {NAMES[0]: 0.25, NAMES[1]: 1.0}, weights
    print("ok: Endpoint.update_weights_and_capacities")

    EndpointConfig.create(
        endpoint_config_name="sdk-v3-one", production_variants=[variant(NAMES[1], 1.0)]
    )
    endpoint.endpoint_config_name = "sdk-v3-one"
    endpoint.update()
    endpoint.wait_for_status("InService", poll=1, timeout=120)
    assert endpoint.endpoint_config_name == "sdk-v3-one", endpoint
    assert [each.variant_name for each in endpoint.production_variants] == [NAMES[1]]
    assert ask(endpoint) == [2.5, 3.0, 4.5]
    print("ok: Endpoint.update")

    names = {each.endpoint_name for each in Endpoint.get_all(name_contains="sdk-v3")}
    assert names == {"sdk-v3"}, names
    names = {each.model_name for each in Model.get_all(name_contains="sdk-v3", sort_by="Name")}
    assert names == set(NAMES), names
    print("ok: get_all")

    endpoint.delete()
    endpoint.wait_for_delete(poll=1)
    for config in EndpointConfig.get_all(name_contains="sdk-v3"):
        config.delete()
    for name in NAMES:
        Model.get(model_name=name).delete()
    try:
        Model.get(model_name=NAMES[0])
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException", error
        assert "Could not find model" in str(error), error
    else:
        raise AssertionError("The model is still there.")
    print("ok: delete, and gone")


def by_compilation(model_data: str, output: str, role: str) -> None:
    """Compile the model for a family that AWS's own list of targets lacks, and deploy that."""
    name = "sdk-v3-compiled"
    job = CompilationJob.create(
        compilation_job_name=name,
        role_arn=role,
        input_config=InputConfig(
            s3_uri=model_data, data_input_config='{"x": [3]}', framework="TENSORFLOW"
        ),
        output_config=OutputConfig(s3_output_location=output, target_device="ml_c6i"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=300),
    )
    job.wait(poll=1, timeout=300)
    assert job.compilation_job_status == "COMPLETED", job
    found = CompilationJob.get_all(name_contains="sdk-v3", status_equals="COMPLETED")
    assert [each.compilation_job_name for each in found] == [name]
    print(f"ok: CompilationJob.create, wait, get_all: {job.model_artifacts.s3_model_artifacts}")

    container = ContainerDefinition(
        image=job.inference_image, model_data_url=job.model_artifacts.s3_model_artifacts
    )
    model = Model.create(model_name=name, primary_container=container, execution_role_arn=role)
    config = EndpointConfig.create(
        endpoint_config_name=name, production_variants=[variant(name, 1.0)]
    )
    endpoint = Endpoint.create(endpoint_name=name, endpoint_config_name=name)
    endpoint.wait_for_status("InService", poll=1, timeout=120)
    assert ask(endpoint) == [2.5, 3.0, 4.5]
    endpoint.delete()
    endpoint.wait_for_delete(poll=1)
    for each in (config, model, job):
        each.delete()
    print("ok: invoke what was compiled, delete")


def variant(name: str, weight: float) -> ProductionVariant:
    """Return one instance of a model, under the model's name."""
    return ProductionVariant(
        variant_name=name,
        model_name=name,
        instance_type=INSTANCE_TYPE,
        initial_instance_count=1,
        initial_variant_weight=weight,
    )


def ask(endpoint: Endpoint) -> list[float]:
    """Return the model's answers, through the SDK's own JSON."""
    endpoint.serializer, endpoint.deserializer = JSONSerializer(), JSONDeserializer()
    answer = endpoint.invoke(
        body={"instances": [1.0, 2.0, 5.0]},
        content_type="application/json",
        accept="application/json",
    )
    endpoint.serializer = endpoint.deserializer = None
    return answer.body["predictions"]


if __name__ == "__main__":
    main(sys.argv[1])
