"""Errors that the user of the algorithm causes."""


class UserError(Exception):
    """Hyperparameters or data that the user can fix; shown as ClientError in FailureReason."""
