"""The training job: created or adopted, waited for, stopped with its run."""
