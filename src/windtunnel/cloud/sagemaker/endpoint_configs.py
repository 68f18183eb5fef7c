"""Endpoint configs: which models on how many instances of which type."""

from windtunnel.aws.arn import sagemaker_arn
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.listing import listed
from windtunnel.cloud.sagemaker.models import Models
from windtunnel.cloud.sagemaker.records import Document, EndpointConfig, tags_of
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID

# "If unspecified, it defaults to 1.0" (ProductionVariant, `InitialVariantWeight`).
_WEIGHT = 1.0


class EndpointConfigs:
    """The operations on endpoint configs."""

    def __init__(self, store: Store, models: Models, clock: Clock, region: str) -> None:
        self.records = Collection(store, "endpoint-config", EndpointConfig.from_document)
        self._models = models
        self._clock = clock
        self._region = region

    def arn(self, name: str) -> str:
        """Return the ARN that a name has or would have."""
        return sagemaker_arn(self._region, ACCOUNT_ID, "endpoint-config", name)

    def find(self, name: str) -> EndpointConfig:
        """Return a config, or say that there is none."""
        config = self.records.find(name)
        if config is None:
            raise wording.not_found("endpoint-config", self.arn(name))
        return config

    async def create(self, request: Document) -> Document:
        """Remember a config whose models exist."""
        name = request["endpoint_config_name"]
        arn = self.arn(name)
        kept = {key: value for key, value in request.items() if key != "tags"}
        kept["production_variants"] = self._checked(request["production_variants"])
        config = EndpointConfig(name, arn, round(self._clock.now_s(), 3), kept, tags_of(request))
        await self.records.create(config, wording.already_exists("endpoint-config", arn))
        return {"endpoint_config_arn": arn}

    def _checked(self, variants: list[Document]) -> list[Document]:
        """Return the variants with AWS's defaults filled in, or say what is wrong with them."""
        for number, variant in enumerate(variants, 1):
            for key, name in (
                ("model_name", "ModelName"),
                ("instance_type", "InstanceType"),
                ("initial_instance_count", "InitialInstanceCount"),
            ):
                if key not in variant:
                    raise InvalidError(f"ProductionVariants.member.{number}.{name} is required.")
            self._models.find(variant["model_name"])
        if len({variant["variant_name"] for variant in variants}) < len(variants):
            raise InvalidError("Production variants of one endpoint config need different names.")
        return [{"initial_variant_weight": _WEIGHT, **variant} for variant in variants]

    async def describe(self, request: Document) -> Document:
        """Return what a config was made with."""
        config = self.find(request["endpoint_config_name"])
        return {
            **config.request,
            "enable_network_isolation": False,
            "endpoint_config_arn": config.arn,
            "creation_time": config.created_s,
        }

    async def list(self, request: Document) -> Document:
        """Return a page of the configs."""
        chosen, token = listed(self.records.all(), request)
        summaries = [
            {
                "endpoint_config_name": each.name,
                "endpoint_config_arn": each.arn,
                "creation_time": each.created_s,
            }
            for each in chosen
        ]
        return {"endpoint_configs": summaries, "next_token": token}

    async def delete(self, request: Document) -> Document:
        """Forget a config; endpoints made with it go on."""
        name = request["endpoint_config_name"]
        async with self.records.held(name):
            await self.records.remove(self.find(name).name)
        return {}
