"""CodeBuild put together."""

from functools import cache

from local_aws.codebuild.builds import Builds
from local_aws.codebuild.cloudformation import ProjectResource
from local_aws.codebuild.errors import not_authorized
from local_aws.codebuild.permissions import CodeBuildPermissions
from local_aws.codebuild.projects import Projects
from local_aws.codebuild.queue import BuildQueue
from local_aws.codebuild.run import Surroundings
from local_aws.codebuild.sessions import Sessions
from local_aws.compute.docker import tools
from local_aws.framework.api import JsonService, Operation
from local_aws.framework.cloudformation import ResourceType
from local_aws.framework.disk import Disk
from local_aws.framework.service_parts import ServiceParts
from local_aws.framework.store import Store
from local_aws.settings import Settings


def build(store: Store, settings: Settings, disk: Disk) -> ServiceParts:
    """Build CodeBuild.

    :param store: where its documents are kept
    :param settings: how this local AWS runs
    :param disk: the disk of the state folder
    :returns: what the gateway needs of it
    """
    projects = Projects(store)
    builds = Builds(store, projects)
    sessions = Sessions(settings.endpoint_url, settings.inside_secret)
    # Written by the first build: a local AWS also starts on a full disk.
    programs = cache(lambda: tools.install(settings.state_dir / "compute", settings.compute))
    surroundings = Surroundings(sessions, programs, disk)
    queue = BuildQueue(settings.state_dir / "codebuild", builds, surroundings, settings.clock)
    builds.runner = queue
    operations: dict[str, Operation] = {**projects.operations(), **builds.operations()}
    service = JsonService("codebuild", operations, invalid="InvalidInputException", role_refusal=not_authorized)
    service.needs = CodeBuildPermissions(projects.tags_of).needed
    types: dict[str, ResourceType] = {"AWS::CodeBuild::Project": ProjectResource(service)}
    return ServiceParts(service, types, start=queue.start, stop=queue.close, tagged=projects.tagged)
