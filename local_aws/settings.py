"""How one local AWS runs."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

# What is kept free for the calls and jobs that are under way when the disk is full.
DISK_RESERVE_BYTES = 16 * 1024 * 1024
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class Clock:
    """Shortens AWS's waits, such as periods, cooldowns and bake times, so that a test can cover hours.

    Timestamps stay those of the real clock. Only durations are divided, so that with a scale of 60 a metric's minute
    is a second long, and a client that asks for the last hour sees all of it.

    :param scale: how many of AWS's seconds pass in a real one
    """

    scale: float = 1.0

    def real_seconds(self, aws_seconds: float) -> float:
        """Return how long a duration of AWS lasts here.

        :param aws_seconds: the duration as AWS states it, in seconds
        :returns: the seconds to wait
        """
        return aws_seconds / self.scale


@dataclass(frozen=True)
class Settings:
    """What the command line gives.

    :param port: of the HTTP gateway
    :param bind: the address it listens on
    :param state_dir: where everything is kept that outlives the process
    :param pace_seconds: how long jobs and endpoints stay in each temporary status beyond the work itself
    :param faults: whether faults can be injected
    :param clock: how fast its periods, cooldowns and bake times pass
    :param compute: how jobs and model servers run; a kind of `local_aws.compute.kinds`
    :param host_names: the names by which it may be addressed beside the loopback's and the address it listens on
    """

    port: int
    bind: str
    state_dir: Path
    pace_seconds: float = 0.0
    faults: bool = False
    clock: Clock = field(default_factory=Clock)
    compute: str = "process"
    host_names: tuple[str, ...] = ()
    # The secret that its own services sign with. Only this process knows it, and each process has another one.
    inside_secret: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which requests may address it."""
        bound = f"[{self.bind}]" if ":" in self.bind else self.bind
        # No client needs 0.0.0.0, which browsers treat as the loopback.
        own = {bound} - {"0.0.0.0", "[::]", ""}  # noqa: S104 (compared, not bound)
        return LOOPBACK_NAMES | own | {name.lower() for name in self.host_names}

    @property
    def endpoint_url(self) -> str:
        """Where the parts of the local AWS reach its API."""
        host = "127.0.0.1" if self.bind in ("0.0.0.0", "") else self.bind  # noqa: S104 (compared, not bound)
        return f"http://{host}:{self.port}"

    @property
    def ledger_path(self) -> Path:
        """The file of the call ledger."""
        return self.state_dir / "ledger.jsonl"
