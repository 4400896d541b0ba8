"""Why there are permissions that no call of the local AWS needs."""

# The holder's name, the statement's Sid and the action, as patterns → the reason.
REASONS: dict[tuple[str, str, str], str] = {}

# What AWS's schemas of endpoint.yaml's resource types name and no role has → why it is not needed.
MISSING: dict[str, str] = {}
