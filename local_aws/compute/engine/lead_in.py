"""Leads a port of this machine to port 8080 of a container that has no network.

`python -m local_aws.compute.engine.lead_in PID PORT`, as root; PID is a process of the container. It ends with the
process that started it.
"""

from __future__ import annotations

import os
import signal
import sys

from local_aws.compute.sandbox import kernel, network


def main(pid: int, port: int) -> None:
    """Lead connections in until the process is killed.

    :raises OSError: the port is taken, the container is gone, or this is not root
    """
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    network.lead_in(port, os.open(f"/proc/{pid}/ns/net", os.O_RDONLY))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
