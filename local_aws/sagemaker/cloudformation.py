"""Models, endpoint configurations and endpoints as resources of CloudFormation stacks.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_SageMaker.html
"""

import copy
from typing import Any

from local_aws.framework.api import JsonService, ServiceError, service_model
from local_aws.framework.cloudformation import ResourceProgress, ResourceRequest, ResourceType, physical_name
from local_aws.framework.coercion import coerced
from local_aws.sagemaker.endpoints import Endpoints

# The longest MaximumExecutionTimeoutInSeconds of a deployment, and the same time to roll it back.
_STABILIZE_SECONDS = 2 * 28800.0


def resource_types(service: JsonService, endpoints: Endpoints) -> dict[str, ResourceType]:
    """Return the resource types of this package.

    :param service: SageMaker, which does the work
    :param endpoints: tells when an endpoint is stable
    :returns: resource type by name
    """
    return {
        "AWS::SageMaker::Model": ModelResource(service, "Model"),
        # CloudFormation has no means to read it, so its drift is NOT_CHECKED: its schema has no handlers.
        # https://github.com/pulumi/pulumi-aws-native/blob/master/aws-cloudformation-schema/aws-sagemaker-endpointconfig.json
        "AWS::SageMaker::EndpointConfig": NamedResource(service, "EndpointConfig"),
        "AWS::SageMaker::Endpoint": EndpointResource(service, endpoints),
    }


class NamedResource:
    """A resource that one Create operation makes; only its tags can change.

    :param service: SageMaker
    :param noun: of the operations, such as ``Model``
    """

    def __init__(self, service: JsonService, noun: str) -> None:
        self._service = service
        self._noun = noun
        self._shape = _input_shape(f"Create{noun}")
        self._name_member = f"{noun}Name"
        self.name_property: str | None = self._name_member
        self.replacing_properties = frozenset(self._shape.members) - {"Tags"}
        self.takes_tags = True

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the resource, with a generated name if the template has none."""
        parameters = self._properties(request)
        parameters.setdefault(self._name_member, physical_name(request))
        arn = self._made_before(request, parameters[self._name_member])
        arn = arn or self._service.call(request.context, f"Create{self._noun}", parameters)[f"{self._noun}Arn"]
        return ResourceProgress(arn, {self._name_member: parameters[self._name_member]})

    def _made_before(self, request: ResourceRequest, name: str) -> str | None:
        """Find what an interrupted attempt has made."""
        if not request.again:
            return None
        try:
            found = self._service.call(request.context, f"Describe{self._noun}", {self._name_member: name})
        except ServiceError as error:
            if not error.message.startswith("Could not find"):
                raise
            return None
        return str(found[f"{self._noun}Arn"])

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the tags; for all other changes CloudFormation replaces the resource."""
        self._retag(request)
        arn, name = self._identity(request)
        return ResourceProgress(arn, {self._name_member: name})

    def delete(self, request: ResourceRequest) -> None:
        """Remove the resource; a missing one is fine."""
        if request.physical_id is None:
            return
        parameters = {self._name_member: _name_in(request.physical_id)}
        try:
            self._service.call(request.context, f"Delete{self._noun}", parameters)
        except ServiceError as error:
            if not error.message.startswith("Could not find"):
                raise

    def _live(self, request: ResourceRequest) -> dict[str, Any] | None:
        """Describe the resource with its tags; None when it is gone."""
        arn = request.physical_id or ""
        try:
            found = self._service.call(request.context, f"Describe{self._noun}", {self._name_member: _name_in(arn)})
            tags = self._service.call(request.context, "ListTags", {"ResourceArn": arn, "MaxResults": 50})["Tags"]
        except ServiceError as error:
            if error.message.startswith("Could not find") or error.message.endswith("does not exist."):
                return None
            raise
        return {**found, "Tags": tags}

    def _properties(self, request: ResourceRequest) -> dict[str, Any]:
        return coerced(self._shape, request.properties)

    def _identity(self, request: ResourceRequest) -> tuple[str, str]:
        parameters = {self._name_member: _name_in(request.physical_id or "")}
        found = self._service.call(request.context, f"Describe{self._noun}", parameters)
        return found[f"{self._noun}Arn"], found[self._name_member]

    def _retag(self, request: ResourceRequest) -> None:
        tags = coerced(self._shape.members["Tags"], request.properties.get("Tags", []))
        kept = {tag["Key"] for tag in tags}
        gone = [tag["Key"] for tag in (request.old_properties or {}).get("Tags", []) if tag["Key"] not in kept]
        if tags:
            self._service.call(request.context, "AddTags", {"ResourceArn": request.physical_id, "Tags": tags})
        if gone:
            self._service.call(request.context, "DeleteTags", {"ResourceArn": request.physical_id, "TagKeys": gone})


class ModelResource(NamedResource):
    """A model, which CloudFormation can read.

    https://github.com/go-to-k/cdk-real-drift/issues/857
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-model.html
    """

    compared_properties = frozenset(
        {
            "Containers",
            "EnableNetworkIsolation",
            "ExecutionRoleArn",
            "ModelName",
            "PrimaryContainer",
            "Tags",
            "VpcConfig",
        }
    )

    def read(self, request: ResourceRequest) -> dict[str, Any] | None:
        """Read the model."""
        return self._live(request)


class EndpointResource(NamedResource):
    """An endpoint; it is stable when it is InService, and it is updated in place.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-endpoint.html

    :param service: SageMaker
    :param endpoints: tells when an endpoint is stable
    """

    # Not DeploymentConfig and what an update retains: they are for an update, and SageMaker describes the last one's.
    compared_properties = frozenset({"EndpointConfigName", "EndpointName", "Tags"})

    def __init__(self, service: JsonService, endpoints: Endpoints) -> None:
        super().__init__(service, "Endpoint")
        self._endpoints = endpoints
        self._update_shape = _input_shape("UpdateEndpoint")
        self.replacing_properties = frozenset({"EndpointName"})

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the endpoint and wait until it serves; remove it if it fails."""
        progress = super().create(request)
        name = progress.attributes["EndpointName"]
        endpoint = self._settled(request, name)
        if endpoint.get("EndpointStatus") != "InService":
            # CloudFormation never learns the name of a resource whose creation failed.
            self._service.call(request.context, "DeleteEndpoint", {"EndpointName": name})
            self._settled(request, name)
            raise _not_stabilized(progress.physical_id, endpoint)
        return progress

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Update the endpoint to another configuration and wait until it serves."""
        _, name = self._identity(request)
        properties = _with_wait_interval(request.properties)
        wanted = coerced(self._update_shape, {n: v for n, v in properties.items() if n != "Tags"})
        # In a roll-back the endpoint has the old configuration already, because its update failed.
        if self._settled(request, name).get("EndpointConfigName") != wanted["EndpointConfigName"]:
            self._service.call(request.context, "UpdateEndpoint", wanted | {"EndpointName": name})
            endpoint = self._settled(request, name)
            if endpoint.get("EndpointConfigName") != wanted["EndpointConfigName"]:
                raise _not_stabilized(request.physical_id or name, endpoint)
        return super().update(request)

    def delete(self, request: ResourceRequest) -> None:
        """Remove the endpoint and wait until it is gone; a missing one is fine."""
        if request.physical_id is None:
            return
        self._settled(request, _name_in(request.physical_id))
        super().delete(request)
        self._settled(request, _name_in(request.physical_id))

    def read(self, request: ResourceRequest) -> dict[str, Any] | None:
        """Read which configuration the endpoint serves."""
        return self._live(request)

    def _properties(self, request: ResourceRequest) -> dict[str, Any]:
        updating = self._update_shape.members.keys() - self._shape.members.keys()
        properties = _with_wait_interval(request.properties)
        at_creation = {name: value for name, value in properties.items() if name not in updating}
        return coerced(self._shape, at_creation)

    def _settled(self, request: ResourceRequest, name: str) -> dict[str, Any]:
        return self._endpoints.wait_settled(request.context, name, _STABILIZE_SECONDS) or {}


def _input_shape(operation: str) -> Any:
    return service_model("sagemaker").operation_model(operation).input_shape


def _with_wait_interval(properties: dict[str, Any]) -> dict[str, Any]:
    """Add the WaitIntervalInSeconds that the API requires and CloudFormation does not.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-sagemaker-endpoint-trafficroutingconfig.html
    """
    found = copy.deepcopy(properties)
    policy = found.get("DeploymentConfig", {}).get("BlueGreenUpdatePolicy", {})
    policy.get("TrafficRoutingConfiguration", {}).setdefault("WaitIntervalInSeconds", 0)
    return found


def _name_in(arn: str) -> str:
    return arn.rpartition("/")[2]


def _not_stabilized(arn: str, endpoint: dict[str, Any]) -> ServiceError:
    reason = endpoint.get("FailureReason", "it was deleted meanwhile")
    return ServiceError(
        "NotStabilized",
        f"Resource of type 'AWS::SageMaker::Endpoint' with identifier '{arn}' did not stabilize: {reason}",
    )
