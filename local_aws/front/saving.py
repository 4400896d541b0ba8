"""Saves what ministack's state has changed by without a call that saves it."""

import asyncio
from contextlib import suppress

from local_aws.framework.disk import Disk, DiskFull
from local_aws.host.gateway import Gateway


async def keep_saved(gateway: Gateway, disk: Disk, seconds: float) -> None:
    """Save the changes of ministack's state until cancelled.

    :param gateway: whose state
    :param disk: where it is saved
    :param seconds: between two saves
    """
    while True:
        await asyncio.sleep(seconds)
        # It says in the log when space ends and when there is some again.
        disk.has_room()
        with suppress(DiskFull):
            gateway.persistence.save()
