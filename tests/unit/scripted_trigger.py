"""A trigger's parts that ask Airflow and AWS, as a script."""


class ScriptedEnd:
    """Before a trigger that follows work: with a scripted task state, and a count in place of AWS."""

    state: str | None = None
    stopped = 0

    async def _task_state(self):
        return self.state

    def _stop(self):
        self.stopped += 1
