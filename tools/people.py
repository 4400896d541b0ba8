"""The people of the containers' Airflow, and what Flask-AppBuilder lets them do.

https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/access-control.html
"""

from __future__ import annotations

# User → Flask-AppBuilder's roles. Which models somebody approves is in the model files.
ROLES = {
    "admin": ("Admin",),
    "alice": ("Viewer", "Approver"),
    "carol": ("Viewer", "Approver"),
    "bob": ("Op",),
    "dana": ("Viewer",),
}
# What deciding takes beside looking: to answer a question or mark its task, and to order a roll-back or a teardown,
# which are runs. Each change below a DAG asks for the DAG's, too. Whose answer counts is decided by the guard.
APPROVER_PERMISSIONS = (
    ("can_edit", "DAGs"),
    ("can_edit", "HITL Detail"),
    ("menu_access", "HITL Detail"),
    ("can_edit", "Task Instances"),
    ("can_create", "DAG Runs"),
    ("can_edit", "DAG Runs"),
)
