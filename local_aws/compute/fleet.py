"""The instances of one production variant: model servers that are watched, restarted and drained.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import itertools
import logging
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from local_aws.compute.base import Compute, Container, ContainerFailed, ContainerSpec, VariantSpec
from local_aws.compute.logs import LogStream
from local_aws.compute.usage import Usage

_log = logging.getLogger(__name__)

# Both from https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
STOP_GRACE_SECONDS = 30
STARTUP_SECONDS = 8 * 60
# The longest time of a request, and a little more for its answer.
DRAIN_SECONDS = 65
# For the stop of the whole local AWS, for which its user waits.
SHUTDOWN_DRAIN_SECONDS = 2
SHUTDOWN_GRACE_SECONDS = 5
_PING_INTERVAL_SECONDS = 0.1
# For a whole ping; from the same page.
_PING_SECONDS = 2.0
_PING = b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept-Encoding: identity\r\n\r\n"
_MAX_PING_HEAD_BYTES = 64 * 1024
_LONGEST_RESTART_DELAY_SECONDS = 30.0
# Below the ports of outgoing connections, so that none of those takes a server's port.
_PORTS = range(20000, 32000)


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ContainerFailed("InternalServerError: no free port for a model server")


def answers_ping(port: int) -> bool:
    """Tell whether a model server answers /ping with 200: in time, however slowly it writes.

    :param port: of this machine
    """
    deadline = time.monotonic() + _PING_SECONDS
    head = b""
    try:
        with socket.create_connection(("127.0.0.1", port), _PING_SECONDS) as connection:
            connection.sendall(_PING % port)
            while b"\r\n\r\n" not in head and len(head) < _MAX_PING_HEAD_BYTES:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                piece = connection.recv(4096)
                if not piece:
                    break
                head += piece
    except OSError:
        return False
    return head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))


class Instance:
    """One model server; its own thread keeps it running until it is closed."""

    def __init__(
        self,
        compute: Compute,
        spec: VariantSpec,
        opt_ml: Path,
        new_log: Callable[[str], LogStream],
        pull: Callable[[], str],
    ) -> None:
        self.name = f"i-{uuid.uuid4().hex[:17]}"
        self._compute = compute
        self._spec = spec
        self._opt_ml = opt_ml
        self._new_log = new_log
        # Each new instance pulls its image, as on AWS; a server that is started again does not.
        self._pull = pull
        self._image: str | None = None
        # Guards all below; acquire and release take it on the event loop, so it must never be held for long.
        self._changed = threading.Condition()
        self._port: int | None = None
        self._in_flight = 0
        self._was_ready = False
        self._failure: ContainerFailed | None = None
        self._closing = False
        self._container: Container | None = None
        self._keeper = threading.Thread(target=self._keep_running, name=self.name, daemon=True)
        self._keeper.start()

    @property
    def healthy(self) -> bool:
        """Whether it takes requests now."""
        with self._changed:
            return self._port is not None and not self._closing

    @property
    def closing(self) -> bool:
        """Whether it will never take requests again."""
        with self._changed:
            return self._closing

    def usage(self) -> Usage | None:
        """Return what its server has used; None without one."""
        with self._changed:
            container = self._container
        return container.usage() if container else None

    def wait_ready(self) -> None:
        """Return once the server has answered /ping for the first time.

        :raises ContainerFailed: when the server fails to start or is closed
        """
        with self._changed:
            self._changed.wait_for(lambda: self._was_ready or self._failure or self._closing)
            if self._failure or self._closing:
                raise self._failure or ContainerFailed("The local AWS is stopping.")

    def acquire(self) -> int | None:
        """Count a request in and return the port to send it to; None if the instance takes none."""
        with self._changed:
            if self._closing or self._port is None:
                return None
            self._in_flight += 1
            return self._port

    def release(self) -> None:
        """Count a request out."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def close(self, drain_seconds: float = DRAIN_SECONDS, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Take no more requests, let those in flight end, then stop the server. Worker threads only.

        :param drain_seconds: how long requests in flight may take to end
        :param grace_seconds: between SIGTERM and SIGKILL
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._in_flight == 0, drain_seconds)
            container = self._container
        if container:
            container.stop(grace_seconds)
        self._keeper.join()

    def _keep_running(self) -> None:
        delay_seconds = 0.0
        while not self._wait_closing(delay_seconds):
            try:
                container, port = self._start()
            except Exception as error:
                _log.exception("model server %s of variant %s", self.name, self._spec.name)
                failure = error if isinstance(error, ContainerFailed) else ContainerFailed(str(error))
                if self._give_up(failure):
                    return
            else:
                if self._run(container, port):
                    delay_seconds = 0.0
                elif self._give_up(self._unhealthy()):
                    return
            delay_seconds = min(max(1.0, 2 * delay_seconds), _LONGEST_RESTART_DELAY_SECONDS)

    def _wait_closing(self, timeout_seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, timeout_seconds)

    def _give_up(self, failure: ContainerFailed) -> bool:
        """Fail an instance that was never ready, because a deployment waits for it."""
        with self._changed:
            if self._was_ready:
                return False
            self._failure = failure
            self._changed.notify_all()
            return True

    def _unhealthy(self) -> ContainerFailed:
        return ContainerFailed(
            f"The primary container for production variant {self._spec.name} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint."
        )

    def _start(self) -> tuple[Container, int]:
        if self._image is None:
            self._image = self._pull()
        port = _free_port()
        environment = {
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SAGEMAKER_SAFE_PORT_RANGE": f"{port}-{port}",
            **self._spec.environment,
        }
        container = self._compute.start(
            ContainerSpec(
                self.name,
                self._image,
                "serve",
                self._opt_ml,
                environment,
                network=self._spec.network,
                port=port,
            ),
        )
        with self._changed:
            self._container = container
            closing = self._closing
        threading.Thread(target=self._read_logs, args=(container,), name=f"log-{self.name}", daemon=True).start()
        if closing:
            container.stop(0)
        return container, port

    def _read_logs(self, container: Container) -> None:
        stream = self._new_log(f"{self._spec.name}/{self.name}")
        for line in container.logs():
            stream.write(line)
        stream.close()

    def _run(self, container: Container, port: int) -> bool:
        """Serve from the first answer to /ping until the process ends; return whether there was an answer."""
        deadline = time.monotonic() + STARTUP_SECONDS
        # One that was forked answers in a few hundredths of a second.
        pause_seconds = _PING_INTERVAL_SECONDS / 16
        while not answers_ping(port):
            if container.wait(pause_seconds) is not None:
                return False
            pause_seconds = min(2 * pause_seconds, _PING_INTERVAL_SECONDS)
            if time.monotonic() > deadline:
                container.stop(0)
                return False
        with self._changed:
            self._port = port
            self._was_ready = True
            self._changed.notify_all()
        container.wait()
        with self._changed:
            self._port = None
        return True


class Fleet:
    """The instances of one variant at one moment; resizing makes a new fleet of them."""

    def __init__(self, spec: VariantSpec, opt_ml: Path, instances: Sequence[Instance]) -> None:
        self.spec = spec
        self.opt_ml = opt_ml
        self.instances = tuple(instances)
        # Used on the event loop's thread only.
        self._turn = itertools.count()

    def acquire(self, gone: Collection[Instance] = ()) -> tuple[Instance, int] | None:
        """Count a request in at the next instance that takes one; None if there is none.

        :param gone: instances that have ended but may still count as healthy
        """
        start = next(self._turn)
        for offset in range(len(self.instances)):
            instance = self.instances[(start + offset) % len(self.instances)]
            if instance not in gone and (port := instance.acquire()) is not None:
                return instance, port
        return None

    def healthy_count(self) -> int:
        """Return how many instances take requests."""
        return sum(instance.healthy for instance in self.instances)


def close_all(
    instances: Sequence[Instance], drain_seconds: float = DRAIN_SECONDS, grace_seconds: float = STOP_GRACE_SECONDS
) -> None:
    """Drain and stop instances in parallel; the times are those of `Instance.close`."""
    times = (drain_seconds, grace_seconds)
    threads = [
        threading.Thread(target=instance.close, args=times, name=f"close-{instance.name}") for instance in instances
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
