"""Errors that the user of the algorithm causes."""


class UserError(Exception):
    """Hyperparameters or data that the user can fix; shown as ClientError in FailureReason."""


class Refused(Exception):
    """A request that the model server answers with an error.

    :param status: HTTP status
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
