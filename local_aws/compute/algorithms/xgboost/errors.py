"""How the algorithm says whose fault a failure is."""


class UserError(Exception):
    """Hyperparameters or data that the user can put right; shown as ClientError in FailureReason."""
