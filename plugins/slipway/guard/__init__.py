"""What keeps anybody but a model's approvers from answering for them, in Airflow's API server.

Airflow lets whoever may edit a run mark any of its tasks success. Here every change that a request makes is checked
where all ways in meet: when the database session is flushed, and when a statement is executed.

- ``middleware.py`` tells who is calling, and lets nothing be changed while the guard is not proved.
- ``flush.py`` holds each change of an approval's task, question or run against the rules.
- ``writes.py`` holds each statement that writes XComs, state stores, connections and variables against its owner.
- ``orders.py`` lets nobody else start a roll-back or a teardown, or set one going again, and signs who did.
- ``approvals.py`` knows the approvals: their rules in the serialized DAG, their state store.
- ``belongings.py`` knows what is Slipway's own; ``own_writes.py`` writes for the guard itself.
- ``self_test.py`` tries what must be refused; ``health.py`` tells the outcome.
- ``answers.py`` replaces two of Airflow's answers; ``caller.py`` and ``routes.py`` are what all share.
"""
