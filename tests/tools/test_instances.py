"""Which tests share an instance."""

import ast

from tests.instances import FILES
from tools.settings import ROOT

# Fixtures that are made with one of the instances.
MADE_WITH = {"opened": "server"}


def arguments(text: str) -> set[str]:
    """The names that functions of a file take: fixtures, if they are tests or fixtures."""
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    return {argument.arg for function in functions for argument in function.args.args}


def test_each_file_with_an_instance_that_others_use_goes_to_its_process():
    shared = {file: name for name, files in FILES.items() for file in files}
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        # Elsewhere a server is something else.
        taken = {MADE_WITH.get(name, name) for name in arguments(text)}
        name = next((name for name in FILES if name in taken), None)
        if name == "real_server" or (name and "mark.e2e" in text):
            found[path.relative_to(ROOT / "tests").as_posix()] = name
    assert shared == found
