"""`python -m slipway.command`, and the script `slipway`."""

from slipway.command.main import app

if __name__ == "__main__":
    app(prog_name="slipway")
