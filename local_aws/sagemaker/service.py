"""SageMaker put together: operations, CloudFormation resource types, training jobs and endpoints that run."""

from collections.abc import Callable

from local_aws.compute.base import ComputeSettings, EndpointKey, TrainingSpec, TrainingTransition
from local_aws.compute.hosting import Hosting
from local_aws.compute.image_upkeep import ImageUpkeep
from local_aws.compute.kinds import create_compute
from local_aws.compute.training import TrainingRun
from local_aws.framework.api import JsonService, Operation
from local_aws.framework.authorization import Needed
from local_aws.framework.service_parts import InvocationResponse, ServiceParts
from local_aws.framework.store import Scope, Store
from local_aws.sagemaker import registry
from local_aws.sagemaker.cloudformation import resource_types
from local_aws.sagemaker.endpoint_configs import EndpointConfigs
from local_aws.sagemaker.endpoints import Endpoints
from local_aws.sagemaker.images import ImageCheck
from local_aws.sagemaker.invocation_checks import refusal
from local_aws.sagemaker.model_package_groups import RESOURCE_TYPE, ModelPackageGroupResource
from local_aws.sagemaker.models import Models
from local_aws.sagemaker.objects import ObjectCheck
from local_aws.sagemaker.packages import PackageContainers
from local_aws.sagemaker.permissions import SageMakerPermissions
from local_aws.sagemaker.rollback_alarms import RollbackAlarms
from local_aws.sagemaker.search import Search
from local_aws.sagemaker.tags import Tags
from local_aws.sagemaker.training_jobs import TrainingJobs
from local_aws.settings import Settings


def build(store: Store, settings: Settings) -> ServiceParts:
    """Build SageMaker.

    :param store: where its documents are kept
    :param settings: how this local AWS runs
    :returns: what the gateway needs of it
    """
    compute_dir = settings.state_dir / "compute"
    compute_dir.mkdir(parents=True, exist_ok=True)
    compute_settings = ComputeSettings(
        settings.endpoint_url,
        compute_dir,
        settings.inside_secret,
        kind=settings.compute,
        pace_seconds=settings.pace_seconds,
        metrics_interval_seconds=settings.clock.real_seconds(60),
        # "The delivery of capture data to Amazon S3 can require a couple of minutes."
        # https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
        capture_interval_seconds=settings.clock.real_seconds(60),
    )
    compute = create_compute(compute_settings)
    hosting = Hosting(compute_settings, compute)
    upkeep = ImageUpkeep(compute)
    tags = Tags(store)
    objects = ObjectCheck(compute_settings)
    registered = registry.operations(store, tags)

    def new_run(spec: TrainingSpec, on_status: Callable[[TrainingTransition], None]) -> TrainingRun:
        return TrainingRun(spec, compute_settings, compute, on_status)

    def may(scope: Scope, role_arn: str, needed: Needed) -> bool:
        return service.guard is None or service.guard.may(scope, role_arn, needed)

    images = ImageCheck(may, compute_settings)
    jobs = TrainingJobs(store, tags, objects, images, new_run)
    models = Models(store, tags, objects, images, PackageContainers(registered["DescribeModelPackage"]))
    endpoints = Endpoints(store, tags, models, hosting, RollbackAlarms(compute_settings), settings)
    operations: dict[str, Operation] = {
        **tags.operations(),
        **registered,
        **jobs.operations(),
        **models.operations(),
        **EndpointConfigs(store, tags).operations(),
        **endpoints.operations(),
    }
    operations |= Search(store, tags, operations["DescribeEndpoint"]).operations()
    service = JsonService("sagemaker", operations)
    service.needs = SageMakerPermissions(tags.of).needed

    def start() -> None:
        compute.reap_orphans()
        upkeep.start()
        jobs.start()
        hosting.start()
        endpoints.start()

    def stop() -> None:
        upkeep.stop()
        endpoints.stop()
        jobs.stop()
        hosting.stop()

    types = {**resource_types(service, endpoints), RESOURCE_TYPE: ModelPackageGroupResource(service)}

    async def invoke(scope: Scope, endpoint_name: str, headers: dict[str, str], body: bytes) -> InvocationResponse:
        if refused := refusal(endpoint_name, headers):
            return InvocationResponse(refused.status, dict(refused.headers), refused.body)
        key = EndpointKey(scope.account_id, scope.region, endpoint_name)
        result = await hosting.invoke(key, body, headers, headers.get("x-amzn-sagemaker-target-variant"))
        return InvocationResponse(result.status, dict(result.headers), result.body)

    return ServiceParts(service, types, start, stop, invoke, tagged=tags.tagged)
