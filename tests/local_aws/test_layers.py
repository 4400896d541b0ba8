"""Which part of the local AWS may import ministack."""

import ast
from pathlib import Path

LOCAL_AWS = Path(__file__).parents[2] / "local_aws"


def names_imported(tree: ast.Module):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))


def test_only_the_host_imports_ministack():
    importing = {
        path.relative_to(LOCAL_AWS).as_posix()
        for path in LOCAL_AWS.rglob("*.py")
        if not path.is_relative_to(LOCAL_AWS / "host")
        and any(str(name).partition(".")[0] == "ministack" for name in names_imported(ast.parse(path.read_text())))
    }
    assert not importing, (
        f"{', '.join(sorted(importing))} in local_aws imports ministack. Only local_aws/host may: its modules name "
        "every private part they use, and a test checks them all. Put this code there."
    )
