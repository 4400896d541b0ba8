"""The guard in Airflow's API server: only a model's approvers may answer for its approvals.

Airflow lets everybody who may edit a run mark any of its tasks success. The guard checks every change of a request
where all routes meet: when the database session is flushed, and when a statement is executed.

- ``middleware.py`` finds out who is calling, and refuses every change until the guard has passed its own test.
- ``origins.py`` tells which web pages may change something.
- ``flush.py`` checks each change of an approval's task, question or run against the rules.
- ``writes.py`` checks who may write XComs, state stores, connections and variables.
- ``orders.py`` lets only approvers start a roll-back or a teardown, or run it again, and signs who did.
- ``approvals.py`` reads the approvals: their rules in the serialized DAG, their state store.
- ``belongings.py`` tells what belongs to Slipway; ``own_writes.py`` writes for the guard itself.
- ``self_test.py`` tries changes that must be refused; ``health.py`` serves the result.
- ``locked.py`` answers 503 when SQLite is locked.
- ``replies.py`` replaces three of Airflow's answers; all modules share ``caller.py`` and ``matched_route.py``.
"""
