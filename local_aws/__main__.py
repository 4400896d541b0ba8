"""The command line: ``python -m local_aws``."""

import argparse
import fcntl
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from local_aws.host import credentials
from local_aws.settings import Clock, Settings

_EXAMPLE = """\
Then, in another shell:
  export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=us-west-2
  export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
The keys are in credentials.json in the state folder, made at the first start.
"""


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line.

    :param arguments: without the program's name; those of the process when None
    :returns: how to run
    """
    parser = argparse.ArgumentParser(
        prog="python -m local_aws",
        description="An AWS on this machine: S3, CloudFormation, IAM and more, and a SageMaker that trains and serves.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=_port, default=4566, help="TCP port of every service (default: 4566)")
    parser.add_argument(
        "--bind",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1). Whoever reaches it may do anything, run programs included",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        type=_host,
        metavar="NAME",
        help="a host name by which clients may address it, beside the loopback's; may be given several times",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(".slipway/aws"),
        metavar="DIR",
        help="where objects, stacks, jobs and the call ledger are kept (default: .slipway/aws)",
    )
    parser.add_argument(
        "--pace",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="stay this long in each temporary status, such as Starting or Creating, to make it visible (default: 0)",
    )
    parser.add_argument(
        "--time-scale",
        type=_scale,
        default=1.0,
        metavar="FACTOR",
        help="let periods, cooldowns and bake times pass faster: with 60 a minute takes a second (default: 1)",
    )
    parser.add_argument(
        "--faults",
        action="store_true",
        help="let requests to /_local_aws/faults make calls fail (default: off)",
    )
    parser.add_argument(
        "--compute",
        choices=["process", "container"],
        default="process",
        help="images of your own: built and run by Linux's namespaces, or by docker or podman (default: process)",
    )
    given = parser.parse_args(arguments)
    state_dir = given.state_dir.resolve()
    return Settings(
        port=given.port,
        bind=given.bind,
        state_dir=state_dir,
        pace_seconds=given.pace,
        faults=given.faults,
        clock=Clock(given.time_scale),
        compute=given.compute,
        host_names=tuple(given.host),
    )


def main() -> int:
    """Run the local AWS until it is told to stop.

    :returns: the exit status
    """
    # Only this user may read objects, IAM's secrets and the ledger.
    os.umask(0o077)
    try:
        settings = parse()
        keys = credentials.from_environment(os.environ) or credentials.kept(settings.state_dir)
    except credentials.CredentialsError as error:
        return _refuse(str(error))
    # Below WARNING the host's loggers only report their start.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("local_aws").setLevel(logging.INFO)
    # Imported late, so that --help and errors in arguments appear at once.
    from local_aws.compute.engine.engine import EngineError
    from local_aws.framework.disk import DiskFull, is_full
    from local_aws.server import PortTaken, run

    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with (settings.state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            run(settings, keys)
        except BlockingIOError:
            return _refuse(f"Another local AWS uses {settings.state_dir}; choose another with --state-dir.")
        except (DiskFull, EngineError, PortTaken) as error:
            return _refuse(str(error))
        except (OSError, sqlite3.Error) as error:
            if not is_full(error):
                raise
            return _refuse(f"No space is left for {settings.state_dir}, which has no state yet: free some.")
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(f"{reason}\n")
    return 1


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a TCP port")
    return number


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]", text):
        raise argparse.ArgumentTypeError(f"{text} is not a host name; give it without a port")
    return text


def _seconds(text: str) -> float:
    number = float(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _scale(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return number


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # Everything is saved by now, and threads that wait for a stack's resource may wait for hours.
    os._exit(status)
