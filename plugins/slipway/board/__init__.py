"""The release board: pages of Slipway's own in Airflow's UI, and the API that they read.

Runs in the API server only. A request reads Airflow's database, in a number of queries that does not grow with the
number of models, and calls no AWS: what AWS serves is what the survey (``slipway/live``) has stored there.

- ``app.py`` has the routes, ``documents.py`` what they answer, ``access.py`` who may read it.
- ``overview.py`` finds, sorts and pages the models; ``releases.py`` puts their rows together.
- ``stages.py`` says which tasks make a stage and how it is; ``progress.py`` reads them.
- ``results.py`` reads what tasks left; ``decisions.py`` the open questions and who may answer them.
- ``live.py`` reads what the survey has stored; ``served.py`` is what the API answers of it.
- ``release.py`` and ``history.py`` have the pages of one release and of one model.
- ``pages.py`` serves the bundle that ``make ui`` builds from ui/.
"""
