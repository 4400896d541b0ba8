"""The training job: created or adopted, waited for, and stopped when its task ends early."""
