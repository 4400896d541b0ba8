"""What memory a waiting approval takes in a triggerer: `python -m tests.faults.fleet.memory`.

Each wait is a task of asyncio with Airflow's logger for it, whose file is open, as `airflow triggerer` has them. Waits
of one connection share their clients.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from unittest.mock import Mock

from rich.console import Console

COUNT = 1000


async def measure(folder: Path) -> int:
    """:returns: bytes for each wait"""
    from airflow.jobs.triggerer_job_runner import TriggerLoggingFactory

    from slipway.approval.wait import ApprovalTrigger

    nobody = Mock()

    def wait(number: int) -> tuple[ApprovalTrigger, TriggerLoggingFactory, asyncio.Task[object]]:
        arn = f"arn:aws:sagemaker:us-west-2:123456789012:model-package/model-{number}/1"
        trigger = ApprovalTrigger(
            ti_id=str(number), model_package_arn=arn, deadline=time.time() + 86400, first_look=time.time() + 3600
        )
        logger = TriggerLoggingFactory(log_path=str(folder / f"{number}.log"), ti=nobody)
        logger(())
        return trigger, logger, asyncio.create_task(anext(trigger.run()))

    warm = wait(-1)
    await asyncio.sleep(0)
    gc.collect()
    tracemalloc.start()
    waits = [wait(number) for number in range(COUNT)]
    await asyncio.sleep(0)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for _, logger, task in [warm, *waits]:
        task.cancel()
        logger.close()
    return taken // COUNT


def main() -> int:
    """Print the figure."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "plugins"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIRFLOW_HOME"] = folder
        os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = folder
        # Nothing is looked for while the memory is read.
        os.environ["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] = "600"
        size = asyncio.run(measure(Path(folder)))
    Console(highlight=False).print(f"{COUNT} waits: {size / 1024:.1f} KiB each, and one open file")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
