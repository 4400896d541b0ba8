"""Each shell command of the docs has a program, a target, a subcommand and options that exist."""

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import botocore.session
import pytest
import typer
from airflow.cli import cli_parser
from botocore import xform_name

from slipway.command.main import app
from tests.docs.pages import PAGES, ROOT, blocks, name

# Programs of the machine, whose options are not Slipway's.
OTHERS = {
    "cp",
    ".venv-labs/bin/jupyter",
    "curl",
    "docker",
    "echo",
    "export",
    "grep",
    "helm",
    "pip",
    "source",
    "sudo",
    "tail",
    "test",
    "unset",
}
ASSIGNMENT = re.compile(r"^(\w+)=")
# Commands of the AWS CLI that are no operations: https://docs.aws.amazon.com/cli/latest/reference/
CUSTOM = {
    ("s3", "cp"): set(),
    ("s3", "sync"): {"delete"},
    ("cloudformation", "deploy"): {"stack-name", "template-file", "capabilities", "parameter-overrides"},
}
GLOBAL = {"query", "output", "region", "profile"}


def commands(text):
    """Return the commands of a block as lists of words, without comments; those of a pipe one by one."""
    text = re.sub(r"(^|\s)#.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r" > \S+", "", text)
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", " ;\n"), posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    found = [[]]
    for word in lexer:
        if set(word) <= set(";|&"):
            found.append([])
        else:
            found[-1].append(word)
    return [words for words in found if words]


COMMANDS = [(page, words) for page in PAGES for block in blocks(page, "sh") for words in commands(block)]


@cache
def makefile():
    return (ROOT / "Makefile").read_text()


def settings_of(words):
    return [match[1] for word in words if (match := ASSIGNMENT.match(word))]


def options_of(words):
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def check_make(words):
    targets = [word for word in words if not ASSIGNMENT.match(word)]
    assert all(re.search(rf"^{target}:", makefile(), re.MULTILINE) for target in targets)
    assert all(re.search(rf"^{variable} \?=", makefile(), re.MULTILINE) for variable in settings_of(words))


def check_aws(words):
    service, operation, *rest = words
    options = {option.removeprefix("--") for option in options_of(rest)}
    if (service, operation) in CUSTOM:
        assert options <= CUSTOM[service, operation] | GLOBAL
        return
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(found, "-"): found for found in model.operation_names}
    members = model.operation_model(operations[operation]).input_shape.members
    # The AWS CLI calls Subscribe's Endpoint --notification-endpoint, because --endpoint-url is its own.
    known = {xform_name(member, "-") for member in members} | {"notification-endpoint"}
    assert options <= known | GLOBAL


def check_python(words):
    if words[0] != "-m":
        script, rest = ROOT / words[0], words[1:]
        assert script.is_file()
        assert all(f'"{word}"' in script.read_text() for word in rest)
        return
    module, rest = words[1], words[2:]
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    sources = [Path(spec.origin)]
    if spec.submodule_search_locations:
        sources = [*Path(spec.origin).parent.glob("*.py")]
    text = "".join(source.read_text() for source in sources)
    assert all(f'"{option}"' in text for option in options_of(rest))


@cache
def subcommands():
    """Return the subcommands of slipway by name."""
    return typer.main.get_command(app).commands


def check_slipway(words):
    subcommand = subcommands()[words[0]]
    # It parses, but does not run: an unknown option or a missing argument ends it with a UsageError.
    subcommand.make_context(words[0], list(words[1:]))


def check_airflow(words):
    assert cli_parser.get_parser().parse_args(words)


CHECKS = {
    "make": check_make,
    "aws": check_aws,
    "python3": check_python,
    "python3.11": check_python,
    ".venv/bin/python": check_python,
    "slipway": check_slipway,
    "airflow": check_airflow,
}


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{name(page)}-{' '.join(words)[:50]}" for page, words in COMMANDS]
)
def test_it_exists(page, words):
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    if words and words[0] in CHECKS:
        CHECKS[words[0]](words[1:])
    else:
        assert not words or words[0] in OTHERS


def test_the_settings_before_a_command_exist():
    known = makefile() + "".join(path.read_text() for path in (ROOT / "tools").glob("*.py"))
    before = {found for _, words in COMMANDS for found in settings_of(words) if found.startswith("SLIPWAY_")}
    assert {setting for setting in before if f'"{setting}"' not in known and f"{setting} (" not in known} == set()
