"""Saves ministack's state beside the calls that promise it."""

import asyncio

from local_aws.framework.disk import Disk, DiskFull
from local_aws.front.http import Front
from local_aws.host.gateway import Gateway


async def keep_saved(gateway: Gateway, front: Front, disk: Disk, seconds: float) -> None:
    """Save ministack's state when it may have changed, until cancelled.

    :param gateway: whose state
    :param front: which sees the calls that change it
    :param disk: where it is saved
    :param seconds: between two checks
    """
    busy = False
    while True:
        await asyncio.sleep(seconds)
        was_busy, busy = busy, gateway.stacks.operation_runs()
        # It says in the log when space ends and when there is some again.
        disk.has_room()
        if front.changed or gateway.cloudwatch.changed or busy or was_busy:
            front.changed = gateway.cloudwatch.changed = False
            try:
                await gateway.persistence.save()
            except DiskFull:
                front.changed = True
