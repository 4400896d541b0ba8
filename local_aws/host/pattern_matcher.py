"""Matches callers' regular expressions in its own process, which patterns.py starts.

Each line of the input is a JSON list of an expression and texts; each line of the output is the result.
"""

import json
import re
import resource
import signal
import sys
from typing import Any

# CPU time for all texts of a line.
_SECONDS = 0.25
_MAX_MEMORY_BYTES = 512 * 1024 * 1024


class _PatternTooSlow(Exception):
    """The timer expired; Python handles signals while it matches."""


def _too_slow(*_: Any) -> None:
    raise _PatternTooSlow


def _compared(expression: str, texts: list[str]) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    try:
        compiled = re.compile(expression)
        return {"match": all(compiled.fullmatch(text) for text in texts)}
    except _PatternTooSlow:
        return {"error": "takes too long to match"}
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        return {"error": str(error) or type(error).__name__}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def main() -> None:
    """Match until the input ends."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGVTALRM, _too_slow)
    for line in sys.stdin:
        expression, texts = json.loads(line)
        sys.stdout.write(json.dumps(_compared(expression, texts)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
