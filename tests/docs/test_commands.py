"""Every shell command of the docs names targets, scripts, subcommands and options that exist."""
