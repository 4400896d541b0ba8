"""Print as JSON what a process that runs tasks has loaded, and what each task of a release loads after its fork.

A program: tests/unit/test_task_imports.py starts it, because a test's own process has loaded much more.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import airflow.sdk.execution_time.supervisor
import airflow.sdk.execution_time.task_runner  # noqa: F401
from botocore.loaders import JSONFileLoader

from slipway.aws.session import AwsHook
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.plugin import SlipwayPlugin


def hooks_of(task: Any) -> Iterator[AwsHook]:
    """The hooks that an operator declares by slipway.aws.clients.client, and those inside of what it declares so."""
    for kind in type(task).__mro__:
        for name, value in vars(kind).items():
            if isinstance(value, cached_property) and value.func.__module__ == "slipway.aws.clients":
                made = getattr(task, name)
                yield from (each for each in (made, *vars(made).values()) if isinstance(each, AwsHook))


def in_a_fork(body: Callable[[], Any]) -> Any:
    """Do something in a process of its own, as a worker does. Returns what it gave, as JSON keeps it."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writing, json.dumps(body()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        given = pipe.read()
    os.wait()
    return json.loads(given)


def loaded_by(task: Any) -> dict[str, list[str]]:
    """What the clients of a task load: modules, and files of botocore."""
    before, read, load = set(sys.modules), [], JSONFileLoader.load_file
    JSONFileLoader.load_file = lambda loader, path: read.append(path) or load(loader, path)
    for hook in hooks_of(task):
        assert hook.conn
    return {"modules": sorted(set(sys.modules) - before), "files": read}


if __name__ == "__main__":
    SlipwayPlugin.on_load()
    from slipway.release_dag import build_release_dag

    (iris,) = [model for model in load_models(models_folder())[0] if model.prefix == "iris-model"]
    tasks = {task.task_id: task for task in build_release_dag(iris).tasks}
    after = {task_id: in_a_fork(lambda task=task: loaded_by(task)) for task_id, task in tasks.items()}
    print(json.dumps({"before": sorted(sys.modules), "after": after}))  # noqa: T201
