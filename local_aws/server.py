"""The process: starts and stops the host and the added services in order."""

import asyncio
import logging
import signal
import socket
from typing import Any

from hypercorn.asyncio import serve

from local_aws import services
from local_aws.alarms.ticker import AlarmTicker
from local_aws.console.application import Console
from local_aws.console.sources import Sources
from local_aws.framework.api import RequestContext
from local_aws.framework.disk import Disk
from local_aws.framework.service_parts import ServiceParts
from local_aws.framework.store import Store
from local_aws.front.admission import Admission
from local_aws.front.asgi import AsgiScope, Receive, Send
from local_aws.front.connections import ClosableConfig
from local_aws.front.http import Front
from local_aws.front.invocation_protocol import InvocationLoop
from local_aws.front.ledger import OK, Call, Ledger
from local_aws.front.routing import resource
from local_aws.front.saving import keep_saved
from local_aws.host.credentials import Credentials
from local_aws.host.gateway import Gateway
from local_aws.host.stack_operations import Journal
from local_aws.metrics.retention import Retention
from local_aws.sagemaker.views import SageMakerViews
from local_aws.settings import Settings

_SAVE_SECONDS = 1.0
_LOOK_FOR_SPACE_SECONDS = 0.5
# boto3 keeps connections open between polls; closing them earlier would race with its next request.
_KEEP_ALIVE_SECONDS = 75

_log = logging.getLogger(__name__)


class PortTaken(Exception):
    """Another process listens on the gateway's port."""


def run(settings: Settings, credentials: Credentials) -> None:
    """Run the local AWS until SIGTERM or SIGINT.

    :param settings: how to run it
    :param credentials: the keys of those who use it from outside
    :raises PortTaken: the port is in use
    """
    _check_port(settings)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    disk = Disk(settings.state_dir)
    calls = Ledger(settings.ledger_path, disk)
    store = Store(settings.state_dir / "local_aws.sqlite", disk)
    journal = Journal(store)
    gateway = Gateway(settings, journal, disk)
    parts = services.build(settings, store, disk)
    gateway.roles.recorder = _recorder(calls)
    front = Front(gateway, calls, Admission(gateway, settings.hosts), disk, faults=settings.faults)
    for part in parts:
        part.service.recorder = _recorder(calls)
        gateway.services.add(part.service)
        for type_name, resource_type in part.resource_types.items():
            gateway.stacks.add_resource_type(type_name, resource_type)
        if part.invoke:
            front.invoke, front.needs = part.invoke, part.service.needs
        if part.download:
            front.download = part.download
    sagemaker, autoscaling, ecr, codebuild, *_ = (part.service for part in parts)
    views = SageMakerViews(store, sagemaker)
    sources = Sources(gateway.views, gateway.cloudwatch, views, autoscaling, ecr, codebuild, settings)
    front.console = Console(sources, credentials)
    # asyncio.run would wait for the end of every stack operation, and the host does not let them be cancelled.
    loop = InvocationLoop()
    # Faults work on the HTTP server's requests only, so with faults it gets the invocations too.
    loop.answered = None if settings.faults else front.plain_invocation
    loop.run_until_complete(_Process(settings, credentials, gateway, front, parts, journal, disk, loop).serve())
    gateway.metrics.close()
    store.close()
    calls.close()


class _Process:
    """One run of the gateway, with its steps in order."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        gateway: Gateway,
        front: Front,
        parts: list[ServiceParts],
        journal: Journal,
        disk: Disk,
        loop: InvocationLoop,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._gateway = gateway
        self._front = front
        self._parts = parts
        self._journal = journal
        self._disk = disk
        self._loop = loop
        self._asked_to_stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        actions = [part.alarm_action for part in parts if part.alarm_action]

        def act(alarm_scope: Any, arn: str, alarm: Any) -> None:
            for action in actions:
                action(alarm_scope, arn, alarm)

        self._retention = Retention(gateway.metrics)
        self._alarms = AlarmTicker(gateway.cloudwatch, settings.clock, act)

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop.set)
        config = ClosableConfig()
        config.bind = [f"{self._settings.bind}:{self._settings.port}"]
        config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
        config.errorlog = logging.getLogger("hypercorn.error")
        await serve(self._application, config, shutdown_trigger=self._stopped)

    async def _application(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._front(scope, receive, send)
            return

        async def speak(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                # ministack has just loaded its state.
                self._gateway.iam.make_users(self._credentials)
                self._gateway.stacks.engine.restore()
                self._tasks = [
                    asyncio.create_task(self._start_services()),
                    asyncio.create_task(keep_saved(self._gateway, self._disk, _SAVE_SECONDS)),
                ]
            await send(message)

        try:
            await self._gateway.asgi_app(scope, receive, speak)
        except Exception:
            # The server would go on without the state.
            _log.exception("The state cannot be loaded")
            self._asked_to_stop.set()
            raise

    async def _start_services(self) -> None:
        # Services recover through the gateway, for instance they download an endpoint's model.
        await self._listening()
        if not self._disk.has_room():
            _log.error("Ready at %s for reading only: jobs and endpoints go on with space", self._settings.endpoint_url)
            self._front.ready = True
            while not self._disk.has_room():
                await asyncio.sleep(_LOOK_FOR_SPACE_SECONDS)
            self._front.ready = False
        for part in self._parts:
            try:
                await asyncio.to_thread(part.start)
            except Exception:
                _log.exception("%s did not start", part.service.service_name)
                self._asked_to_stop.set()
                return
        self._tasks.append(asyncio.create_task(self._alarms.run()))
        self._retention.start()
        self._gateway.stacks.engine.go_on()
        self._front.ready = True
        _log.info("Ready at %s", self._settings.endpoint_url)

    async def _listening(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(_reachable(self._settings.bind), self._settings.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    async def _stopped(self) -> None:
        await self._asked_to_stop.wait()
        self._front.ready = False
        self._journal.closed.set()
        self._disk.closed.set()
        # Services stop first, while the gateway answers: a job that ends writes its last status and logs through it.
        for part in reversed(self._parts):
            try:
                await asyncio.to_thread(part.stop)
            except Exception:
                _log.exception("%s did not stop cleanly", part.service.service_name)
        await asyncio.to_thread(self._retention.stop)
        self._loop.close_invocations()
        for task in self._tasks:
            task.cancel()


def _recorder(calls: Ledger) -> Any:
    """Record the calls that the local AWS makes to its own services, as CloudFormation does."""

    def record(
        context: RequestContext, service: str, operation: str, parameters: dict[str, Any], error_code: str | None
    ) -> None:
        calls.record(
            Call(
                service=service,
                operation=operation,
                resource=resource(service, operation, parameters),
                outcome=error_code or OK,
                status=400 if error_code else 200,
                caller=context.caller,
                region=context.region,
                request_id=context.request_id,
                iam=context.decisions or None,
            )
        )

    return record


def _reachable(bind: str) -> str:
    return "127.0.0.1" if bind == "0.0.0.0" else bind  # noqa: S104 (compared, not bound)


def _check_port(settings: Settings) -> None:
    """Check that the port is free before anything is started or written."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise PortTaken(
                f"Cannot listen on {settings.bind}:{settings.port}: {error.strerror}. "
                "Stop what uses the port, or choose another with --port."
            ) from error
