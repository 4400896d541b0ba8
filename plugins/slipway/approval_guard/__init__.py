"""What keeps anybody but a model's approvers from answering for them, in Airflow's API server.

Airflow lets whoever may edit a run mark any of its tasks success. Here every change that a person makes through the
API is checked where all ways in meet: when the database session is flushed.

- ``middleware.py`` tells who is calling, and refuses the few requests that never change what the flush would see.
- ``flush.py`` holds each change of an approval's task, question or run against the rules.
- ``roll_backs.py`` lets nobody else start a roll-back, and writes down who did.
- ``approvals.py`` knows the approvals: their rules in the serialized DAG, their state store.
- ``caller.py`` is what the two share.
"""
