"""Endpoint configurations: an endpoint's models, their instances and their shares of the traffic.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
"""

from typing import Any

from local_aws.framework.api import Operation, RequestContext
from local_aws.framework.listing import page_of
from local_aws.framework.store import Store
from local_aws.sagemaker.resources import ResourceKind, invalid, now, without
from local_aws.sagemaker.tags import Tags, check

_NOT_OFFERED = ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants")
_VARIANT_NOT_OFFERED = ("ServerlessConfig", "InstancePools", "ManagedInstanceScaling", "CapacityReservationConfig")


class EndpointConfigs:
    """The endpoint configuration operations.

    :param store: where they and the models are kept
    :param tags: of all resources
    """

    def __init__(self, store: Store, tags: Tags) -> None:
        self._kind = ResourceKind.endpoint_configs(store)
        self._models = ResourceKind.models(store)
        self._tags = tags

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": lambda context, parameters: self._kind.get(
                context, parameters["EndpointConfigName"]
            ),
            "ListEndpointConfigs": self._list,
            "DeleteEndpointConfig": self._delete,
        }

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        check(parameters.get("Tags", []), context)
        _refuse(parameters, _NOT_OFFERED)
        names = [variant["VariantName"] for variant in parameters["ProductionVariants"]]
        if len(set(names)) < len(names):
            raise invalid(
                "Duplicate variant names found. Variant names must be unique within an endpoint configuration."
            )
        variants = [self._variant(context, variant) for variant in parameters["ProductionVariants"]]
        if not any(variant["InitialVariantWeight"] for variant in variants):
            raise invalid("At least one production variant must have an InitialVariantWeight greater than 0.")
        name = parameters["EndpointConfigName"]
        arn = self._kind.arn(context, name)
        document = without(parameters, "Tags") | {
            "ProductionVariants": variants,
            "EndpointConfigArn": arn,
            "CreationTime": now(),
        }
        self._kind.create(context, name, document)
        self._tags.attach(context, arn, parameters.get("Tags"))
        return {"EndpointConfigArn": arn}

    def _variant(self, context: RequestContext, variant: dict[str, Any]) -> dict[str, Any]:
        _refuse(variant, _VARIANT_NOT_OFFERED)
        for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if member not in variant:
                raise invalid(f"{member} must be specified for production variant {variant['VariantName']}.")
        self._models.get(context, variant["ModelName"])
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html: "defaults to 1.0"
        return {"InitialVariantWeight": 1.0, **variant}

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        configs, token = page_of(
            self._kind.documents,
            context,
            parameters,
            name_field="EndpointConfigName",
            sort_fields={"Name": "EndpointConfigName", "CreationTime": "CreationTime"},
        )
        return {"EndpointConfigs": configs, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        self._kind.delete(context, parameters["EndpointConfigName"])
        self._tags.detach(context, self._kind.arn(context, parameters["EndpointConfigName"]))
        return {}


def _refuse(parameters: dict[str, Any], members: tuple[str, ...]) -> None:
    for member in members:
        if member in parameters:
            raise invalid(f"The local AWS offers no {member}.")
