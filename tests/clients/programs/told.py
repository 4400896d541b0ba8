"""What the Python programs of the suites share: each operation's outcome goes to stdout as a line of JSON.

It runs in the clients' own environments, and imports nothing of the project.
"""

import json
import os
import sys
import traceback

# What the suite hands over: names, data, the role, the image.
CASE = json.loads(os.environ["CLIENT_CASE"])


def tell(operation, call):
    """Perform an operation; say whether it works, is refused by AWS, or breaks; return what it gave."""
    found = None
    try:
        found = call()
        outcome = "works"
    except Exception as error:
        refusal = getattr(error, "response", {}).get("Error", {}).get("Message") or getattr(error, "refusal", None)
        if refusal is None:
            traceback.print_exc()
        outcome = f"refused: {refusal}" if refusal else f"failed: {type(error).__name__}: {error}"
    sys.stdout.write("\n" + json.dumps({"operation": operation, "outcome": outcome}) + "\n")
    sys.stdout.flush()
    return found


class Refused(Exception):
    """A refusal that does not come as an answer of AWS's API.

    :param refusal: its text
    """

    def __init__(self, refusal):
        super().__init__(refusal)
        self.refusal = refusal
