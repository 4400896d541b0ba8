"""Gates of stages as tests hand them to operators: the real one, on a board in memory."""

import json

from slipway.aws.documents import Document
from slipway.stages.gate import StageGate


class MemoryDocuments:
    """S3 with compare-and-set, in memory."""

    def __init__(self) -> None:
        self.bodies: dict[str, str] = {}
        self.reads = self.writes = 0

    def read(self, bucket, key):
        self.reads += 1
        body = self.bodies.get(key)
        return Document() if body is None else Document(json.loads(body), body)

    def write(self, bucket, key, content, *, etag):
        if self.bodies.get(key) != etag:
            return False
        self.bodies[key] = json.dumps(content)
        self.writes += 1
        return True


def with_gate(operator, documents=None, goes_on=lambda dag_id, run_id: True):
    """Give an operator a gate of its own instead of S3's; returns the operator."""
    operator.__dict__["gate"] = StageGate(documents or MemoryDocuments(), goes_on)
    return operator
