"""Worker processes that run a task: forks of this one, as LocalExecutor's are, and just as easily killed."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from botocore.httpsession import URLLib3Session

FAILED = 1


def in_a_worker(body: Callable[[], str]) -> tuple[int, str]:
    """Run something in a process of its own.

    :returns: the signal that ended it, or 0, and what it gave
    """
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        code = FAILED
        try:
            os.write(writing, body().encode())
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        given = pipe.read()
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the worker failed; its traceback is on stderr"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, given


def kill_after(operation: str) -> None:
    """Have this process end, by SIGKILL, when AWS has answered an operation and nobody has seen the answer.

    :param operation: of SageMaker, such as CreateTrainingJob
    """
    send = URLLib3Session.send

    def sending(session: Any, request: Any) -> Any:
        answer = send(session, request)
        if request.headers.get("X-Amz-Target", b"").endswith(operation.encode()):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    URLLib3Session.send = sending
