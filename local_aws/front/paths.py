"""The paths that are not AWS's."""

from local_aws.framework.service_parts import DOWNLOADS_PATH

HEALTH_PATH = "/_local_aws/health"
FAULTS_PATH = "/_local_aws/faults"
CONSOLE_PATH = "/_local_aws"


def is_faults(path: str) -> bool:
    """Tell whether a path is the faults' API.

    :param path: decoded
    """
    return path == FAULTS_PATH or path.startswith(f"{FAULTS_PATH}/")


def is_download(path: str) -> bool:
    """Tell whether a path is of a file that a service hands out by an address of its own.

    :param path: decoded
    """
    return path.startswith(DOWNLOADS_PATH)


def is_console(path: str) -> bool:
    """Tell whether a path is a page of the console.

    :param path: decoded
    """
    below = path == CONSOLE_PATH or path.startswith(f"{CONSOLE_PATH}/")
    return below and path != HEALTH_PATH and not is_faults(path) and not is_download(path)
