"""The reference of docs/cli.md, made from the app itself.

`PYTHONPATH=plugins .venv/bin/python -m tests.unit.command.reference` writes it into the page.
"""

from enum import StrEnum
from pathlib import Path

import typer

from slipway.command.exits import MEANINGS
from slipway.command.main import app

PAGE = Path(__file__).resolve().parents[3] / "docs" / "cli.md"
BEGIN = "<!-- Made from the app by tests/unit/command/reference.py; do not change it here. -->\n"
_GLOBAL = ("help", "json", "as_json")


def command_names() -> list[str]:
    """The names of all commands, in their order."""
    return list(typer.main.get_command(app).commands)


def reference() -> str:
    """The exit codes, and each command with its arguments and options, as Markdown."""
    lines = [BEGIN, "## Exit codes", "", "| code | means |", "|---|---|"]
    lines += [f"| {code.value} | {text} |" for code, text in MEANINGS.items()]
    lines += ["", "## Commands", ""]
    lines += ["Every command also has `--help` and `--json`.", ""]
    for name, command in typer.main.get_command(app).commands.items():
        lines += _command(name, command)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: object) -> list[str]:
    shown = [one for one in command.params if one.name not in _GLOBAL]
    usage = " ".join(["slipway", name, *(_placed(one) for one in shown if one.param_type_name == "argument")])
    rows = [f"| {_names(one)} | {_said(one)} |" for one in shown]
    table = ["| argument or option | meaning |", "|---|---|", *rows, ""] if rows else []
    text = " ".join(command.help.split("\n\n")[0].split())
    more = [" ".join(part.split()) for part in command.help.split("\n\n")[1:]]
    return [f"### {name}", "", f"`{usage}`", "", text, "", *(line for part in more for line in (part, "")), *table]


def _placed(one: object) -> str:
    metavar = one.metavar or one.name.upper()
    metavar = _choices(one) or metavar
    return metavar if one.required else f"[{metavar}]"


def _names(one: object) -> str:
    if one.param_type_name == "argument":
        return f"`{_placed(one).strip('[]')}`".replace("|", "\\|")
    names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
    if one.is_flag:
        return names
    value = _choices(one).replace("|", "\\|") or one.metavar or "TEXT"
    return f"{names} `{value}`"


def _choices(one: object) -> str:
    # Before Typer 0.28 it is a type of click's.
    if not hasattr(one, "type_descriptor"):
        return "|".join(getattr(one.type, "choices", ()))
    kind = one.type_descriptor.annotation
    return "|".join(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ""


def _said(one: object) -> str:
    default = one.show_default if isinstance(one.show_default, str) else one.default
    if callable(default) or default in (None, False, True, "", []) or one.show_default is False:
        return one.help or ""
    shown = default if isinstance(one.show_default, str) else f"`{getattr(default, 'value', default)}`"
    return f"{one.help} Default: {shown}"


def written(page: str) -> str:
    """The page with the reference of now."""
    return page[: page.index(BEGIN)] + reference()


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
