"""The journal of stack operations, so that they continue after a kill and the next start.

CloudFormation's engine runs an operation as a coroutine, one resource after the other. The journal holds the call and
the result of each step. After a start the operation runs again from its beginning: steps with a result are skipped, and
the interrupted step is repeated and told that it was interrupted.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from local_aws.framework.store import Document, Scope, Store


@dataclass(frozen=True)
class Step:
    """One change of one resource.

    :param token: the same at every attempt, so that what an attempt has made can be found by its name
    :param again: whether an earlier attempt was interrupted; it may have done all, some or nothing
    """

    token: str
    again: bool


_STEP: ContextVar[Step] = ContextVar("stack_operation_step")
_OPERATION: ContextVar["Operation"] = ContextVar("stack_operation")


def current_step() -> Step:
    """Return the step that the current resource handler performs, a new one outside of stack operations."""
    return _STEP.get(Step(uuid.uuid4().hex, again=False))


class Journal:
    """The operations of all stacks that have not ended.

    :param store: where they are kept
    """

    def __init__(self, store: Store) -> None:
        self._operations = store.collection("stack_operations")
        self._steps = store.collection("stack_operation_steps")
        # Set before the process ends: later failures are caused by that.
        self.closed = threading.Event()

    def begin(self, scope: Scope, stack: Document, events: int, call: Document, actor: str) -> "Operation":
        """Record an operation that begins; the stack's earlier one has ended.

        :param scope: the stack's account and region
        :param stack: the stack as it is when the operation begins
        :param events: how many events it has
        :param call: how to begin the operation again
        :param actor: ARN of the role or the caller whose permissions count
        """
        for operation in self.unfinished():
            if operation.stack["StackId"] == stack["StackId"]:
                operation.end()
        name = uuid.uuid4().hex
        self._operations.put(scope, name, {"stack": stack, "events": events, "call": call, "actor": actor})
        return self._operation(scope, name)

    def unfinished(self) -> Iterator["Operation"]:
        """Return the operations that an earlier process began and did not end."""
        for scope, name, _ in self._operations.everywhere():
            yield self._operation(scope, name)

    def _operation(self, scope: Scope, name: str) -> "Operation":
        document = self._operations.get(scope, name) or {}
        steps = self._steps.get(scope, name) or {}

        def write(known: Document) -> None:
            self._steps.put(scope, name, known)

        def end() -> None:
            self._operations.delete(scope, name)
            self._steps.delete(scope, name)

        return Operation(scope, document, steps, write, end, self.closed)


class Operation:
    """One operation of one stack; the journal makes it."""

    def __init__(
        self,
        scope: Scope,
        document: Document,
        steps: Document,
        write: Callable[[Document], None],
        end: Callable[[], None],
        closed: threading.Event,
    ) -> None:
        self.scope = scope
        self.stack: Document = document["stack"]
        self.events: int = document["events"]
        self.call: Document = document["call"]
        # ARN of the role or the caller whose permissions count; an earlier version wrote none.
        self.actor: str = document.get("actor", "")
        self.end = end
        self._steps = steps
        self._write = write
        self._closed = closed
        self._seen: Counter[str] = Counter()

    def enter(self) -> None:
        """Make this the operation of the current task and of the threads that it starts."""
        _OPERATION.set(self)

    def step(self, name: str, work: Callable[[], Any], before_result: Callable[[], None]) -> Any:
        """Perform a step unless its result is known.

        :param name: what is done to which resource
        :param work: does it; what it returns is JSON or a tuple
        :param before_result: saves what the step has changed outside the journal
        :returns: its result, of now or of an earlier process
        :raises ValueError: an earlier attempt failed, with its text
        """
        self._seen[name] += 1
        key = f"{name}#{self._seen[name]}"
        known = self._steps.get(key)
        if known is None:
            self._keep(key, {"token": uuid.uuid4().hex})
        elif "error" in known:
            raise ValueError(known["error"])
        elif "result" in known:
            result = known["result"]
            return tuple(result) if isinstance(result, list) else result
        marked = _STEP.set(Step(self._steps[key]["token"], again=known is not None))
        try:
            result = work()
        except Exception as error:
            if self._closed.is_set() and threading.current_thread() is not threading.main_thread():
                # An added service has stopped: the step was interrupted, so it must not be rolled back as if it had
                # failed. Steps on the event loop do not use added services.
                threading.Event().wait()
            self._keep(key, {"error": str(error)})
            raise
        finally:
            _STEP.reset(marked)
        before_result()
        self._keep(key, {"result": result})
        return result

    def _keep(self, key: str, more: Document) -> None:
        self._steps[key] = self._steps.get(key, {}) | more
        self._write(self._steps)


def current_operation() -> Operation | None:
    """Return the operation of the current task; None for one without a record, such as a nested stack's."""
    return _OPERATION.get(None)
