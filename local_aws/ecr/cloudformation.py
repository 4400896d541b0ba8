"""Repositories as resources of CloudFormation stacks.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecr-repository.html
"""

import json
from collections.abc import Callable
from typing import Any

from local_aws.ecr.names import repository_arn, repository_uri
from local_aws.framework.api import JsonService, ServiceError, service_model
from local_aws.framework.cloudformation import ResourceProgress, ResourceRequest, physical_name
from local_aws.framework.coercion import as_members, coerced
from local_aws.framework.live_properties import json_as_declared

_MISSING = "RepositoryNotFoundException"
_POLICY_MISSING = ("RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException")
# The longest name of a repository.
_MAX_NAME = 256
_AT_CREATION = (
    "EncryptionConfiguration",
    "ImageScanningConfiguration",
    "ImageTagMutability",
    "ImageTagMutabilityExclusionFilters",
    "RepositoryName",
    "Tags",
)
_Properties = dict[str, Any]


class RepositoryResource:
    """AWS::ECR::Repository.

    :param service: ECR
    """

    replacing_properties = frozenset({"EncryptionConfiguration", "RepositoryName"})
    name_property: str | None = "RepositoryName"
    takes_tags = True
    # EmptyOnDelete is no setting of the repository.
    compared_properties = frozenset({*_AT_CREATION, "LifecyclePolicy", "RepositoryPolicyText"})

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the repository, with a generated name if the template has none, and its policies."""
        wanted = {name: value for name, value in request.properties.items() if name in _AT_CREATION}
        parameters = _parameters("CreateRepository", wanted)
        parameters["tags"] = request.properties.get("Tags", [])
        parameters.setdefault("repositoryName", physical_name(request, _MAX_NAME).lower())
        name = parameters["repositoryName"]
        if not (request.again and self._found(request, name)):
            self._service.call(request.context, "CreateRepository", parameters)
        try:
            self._put_policies(request, name)
        except ServiceError:
            # CloudFormation never learns the name of a resource whose creation failed.
            self._call(request, "DeleteRepository", name, {})
            raise
        return _stable(request, name)

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the settings, the policies and the tags."""
        name, new, old = request.physical_id or "", request.properties, request.old_properties or {}
        # What has not changed in the template may have changed outside of it.
        if _part(new, "ImageTagMutability") or _part(old, "ImageTagMutability"):
            wanted = {"ImageTagMutability": "MUTABLE", **_part(new, "ImageTagMutability")}
            self._call(request, "PutImageTagMutability", name, _parameters("PutImageTagMutability", wanted))
        if _part(new, "ImageScanning") or _part(old, "ImageScanning"):
            scanning = {"ImageScanningConfiguration": new.get("ImageScanningConfiguration", {})}
            parameters = _parameters("PutImageScanningConfiguration", scanning)
            self._call(request, "PutImageScanningConfiguration", name, parameters)
        self._put_policies(request, name)
        self._retag(request, name)
        return _stable(request, name)

    def delete(self, request: ResourceRequest) -> None:
        """Remove the repository; one with images only where EmptyOnDelete says so."""
        name = request.physical_id
        if name is None or not self._found(request, name):
            return
        force = str(request.properties.get("EmptyOnDelete", False)).lower() == "true"
        self._absent_is_fine(_MISSING, act=lambda: self._call(request, "DeleteRepository", name, {"force": force}))

    def read(self, request: ResourceRequest) -> _Properties | None:
        """Read the repository as the template declares it."""
        name = request.physical_id or ""
        found = self._found(request, name)
        if found is None:
            return None
        arn = repository_arn(request.context, name)
        tags = self._service.call(request.context, "ListTagsForResource", {"resourceArn": arn})["tags"]
        live = {**_capitalized(found), "Tags": tags}
        declared = request.properties
        if (text := self._text(request, "GetLifecyclePolicy", "lifecyclePolicyText", name)) is not None:
            of_template = declared.get("LifecyclePolicy", {}).get("LifecyclePolicyText", "")
            live["LifecyclePolicy"] = {"LifecyclePolicyText": json_as_declared(of_template, text)}
        if (text := self._text(request, "GetRepositoryPolicy", "policyText", name)) is not None:
            live["RepositoryPolicyText"] = json.loads(text)
        return live

    # --- steps ----------------------------------------------------------------------------------------------------

    def _put_policies(self, request: ResourceRequest, name: str) -> None:
        new, old = request.properties, request.old_properties or {}
        lifecycle = new.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if lifecycle:
            self._call(request, "PutLifecyclePolicy", name, {"lifecyclePolicyText": lifecycle})
        elif old.get("LifecyclePolicy"):
            self._absent_is_fine(*_POLICY_MISSING, act=lambda: self._call(request, "DeleteLifecyclePolicy", name, {}))
        policy = new.get("RepositoryPolicyText")
        if policy:
            text = policy if isinstance(policy, str) else json.dumps(policy)
            self._call(request, "SetRepositoryPolicy", name, {"policyText": text})
        elif old.get("RepositoryPolicyText"):
            self._absent_is_fine(*_POLICY_MISSING, act=lambda: self._call(request, "DeleteRepositoryPolicy", name, {}))

    def _retag(self, request: ResourceRequest, name: str) -> None:
        arn, tags = repository_arn(request.context, name), request.properties.get("Tags", [])
        kept = {tag["Key"] for tag in tags}
        gone = [tag["Key"] for tag in (request.old_properties or {}).get("Tags", []) if tag["Key"] not in kept]
        if tags:
            self._service.call(request.context, "TagResource", {"resourceArn": arn, "tags": tags})
        if gone:
            self._service.call(request.context, "UntagResource", {"resourceArn": arn, "tagKeys": gone})

    def _call(self, request: ResourceRequest, operation: str, name: str, parameters: _Properties) -> _Properties:
        return self._service.call(request.context, operation, {"repositoryName": name, **parameters})

    def _found(self, request: ResourceRequest, name: str) -> _Properties | None:
        def find() -> _Properties:
            found = self._service.call(request.context, "DescribeRepositories", {"repositoryNames": [name]})
            repository: _Properties = found["repositories"][0]
            return repository

        return self._absent_is_fine(_MISSING, act=find)

    def _text(self, request: ResourceRequest, operation: str, member: str, name: str) -> str | None:
        found = self._absent_is_fine(*_POLICY_MISSING, act=lambda: self._call(request, operation, name, {}))
        return found[member] if found else None

    def _absent_is_fine(self, *codes: str, act: Callable[[], _Properties]) -> _Properties | None:
        try:
            return act()
        except ServiceError as error:
            if error.code not in codes:
                raise
            return None


def _parameters(operation: str, properties: _Properties) -> _Properties:
    shape = service_model("ecr").operation_model(operation).input_shape
    found: _Properties = coerced(shape, as_members(shape, properties))
    return found


def _part(properties: _Properties, beginning: str) -> _Properties:
    return {name: value for name, value in properties.items() if name.startswith(beginning)}


def _stable(request: ResourceRequest, name: str) -> ResourceProgress:
    context = request.context
    attributes = {"Arn": repository_arn(context, name), "RepositoryUri": repository_uri(context, name)}
    return ResourceProgress(name, attributes)


def _capitalized(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{name[0].upper()}{name[1:]}": _capitalized(item) for name, item in value.items()}
    return [_capitalized(item) for item in value] if isinstance(value, list) else value
