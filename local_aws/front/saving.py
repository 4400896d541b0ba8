"""Saves what ministack's state has changed by without a call that saves it."""

import asyncio
import logging

from local_aws.framework.disk import Disk, DiskFull
from local_aws.host.gateway import Gateway

_log = logging.getLogger(__name__)


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
        try:
            gateway.persistence.save()
        except DiskFull:
            pass
        except Exception:
            _log.exception("A change could not be saved; what others have changed will be")
