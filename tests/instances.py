"""Which tests share an instance, so that few are started; each start takes a core for most of a minute.

A plugin of pytest (see tests/conftest.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.instance import Instance

# The files of one process of pytest-xdist, by the fixture that is their instance, or the server of their pages. A file
# that is missing here is a unit of its own, and may start one more. Of the names that a file uses the first one counts:
# what runs on one instance may call it by the name of another.
FILES = {
    # No instance, but the API server's application, which takes a core for ten seconds.
    "real_server": (
        *("unit/board/test_access.py", "unit/board/test_any_request.py", "unit/notices/test_second_end.py"),
        *(
            f"unit/guard/test_{name}.py"
            for name in (
                *("bodies", "decisions", "forms", "locked", "marked_runs", "notes", "origins", "self_test"),
                *("stage_groups", "writes"),
            )
        ),
    ),
    "struck": ("faults/test_chaos.py", "e2e/test_news.py", "e2e/test_orphaned_jobs.py", "e2e/test_trial.py"),
    "slipway": tuple(
        f"e2e/test_{name}.py"
        for name in (
            *("approval_elsewhere", "custom_image", "image_build", "observability", "release", "roll_back"),
            *("stock_approval", "superseded", "who_approves"),
        )
    ),
    "server": tuple(f"e2e/test_{name}.py" for name in ("board", "foreign_page", "refusals", "release_forms")),
}
_INSTANCE_OF = {f"tests/{file}": name for name, files in FILES.items() for file in files}
_RUNNING = pytest.StashKey[dict[str, ExitStack]]()


@contextmanager
def running(config: pytest.Config, name: str, instance: Instance) -> Iterator[Instance]:
    """Start an instance, and stop it after the last test that uses it, or at the latest when this ends.

    :param name: the fixture's, of scope session
    """
    with ExitStack() as stack:
        stack.callback(instance.services, "down")
        config.stash.setdefault(_RUNNING, {})[name] = stack
        instance.services("up")
        yield instance


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Stop instances that no later test uses: each takes a quarter of a core also when nobody asks it for anything."""
    instances = item.config.stash.get(_RUNNING, {})
    if instances:
        later = item.session.items[item.session.items.index(item) + 1 :]
        used = {name for one in later for name in getattr(one, "fixturenames", ())}
        for name in instances.keys() - used:
            instances.pop(name).close()


@pytest.fixture(scope="session")
def struck(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Instance]:
    """A running instance whose processes are killed. What other tests begin must not be, so it is not theirs."""
    # Only those who use it pay for what it imports.
    from tests.faults.chaos import models
    from tests.instance import OTHER_DAGS, SHORT_PATIENCE, Instance

    extra = OTHER_DAGS | SHORT_PATIENCE
    made = Instance.in_folder(tmp_path_factory.mktemp("struck"), free_ports(2), extra, faults=True)
    models.add(made)
    with running(request.config, "struck", made):
        yield made


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the files of one instance to one process; otherwise as `--dist loadfile`."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByInstance(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return _INSTANCE_OF.get(file, file)

    return ByInstance(config, log)
