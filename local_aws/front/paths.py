"""The paths that are not AWS's."""

HEALTH_PATH = "/_local_aws/health"
FAULTS_PATH = "/_local_aws/faults"
CONSOLE_PATH = "/_local_aws"


def is_faults(path: str) -> bool:
    """Tell whether a path is the faults' API.

    :param path: decoded
    """
    return path == FAULTS_PATH or path.startswith(f"{FAULTS_PATH}/")


def is_console(path: str) -> bool:
    """Tell whether a path is a page of the console.

    :param path: decoded
    """
    below = path == CONSOLE_PATH or path.startswith(f"{CONSOLE_PATH}/")
    return below and path != HEALTH_PATH and not is_faults(path)
