"""Build the package into dist/: the sdist, the wheel from it, and the list of what it needs (`make package`)."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from tools import setup
from tools.package import npm
from tools.settings import ROOT

_VALIDATE = """
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

raise SystemExit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(sys.argv[1]).read_text()))
"""


def main() -> int:
    """Build the commit that is checked out, and print each file's SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out: Path = parser.parse_args().out.resolve()
    changed = _git("status", "--porcelain", "--untracked-files=no").decode().strip()
    if changed:
        print("The commit is built, without these changes:", changed, sep="\n", file=sys.stderr)
    with committed() as source:
        made = [*build(source, out), bill_of_materials(source, out)]
    for path in made:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(out)}")
    return 0


@contextmanager
def committed() -> Iterator[Path]:
    """Give a folder with the files of HEAD: the same files, with the same modes, in every clone."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        with tarfile.open(fileobj=BytesIO(_git("-c", "tar.umask=0022", "archive", "HEAD"))) as archive:
            # The filters came with Python 3.11.4, and git wrote the archive.
            archive.extractall(source)  # noqa: S202
        yield source


def build(source: Path, out: Path) -> list[Path]:
    """Build the sdist, and the wheel from it.

    :param source: a folder with the project
    :param out: where the archives go; former ones of the package are removed
    :returns: the archives
    """
    for former in out.glob("airflow_slipway-*"):
        former.unlink()
    # The archives have this time instead of the files' own.
    # https://reproducible-builds.org/docs/source-date-epoch/
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct").decode().strip()
    _run(setup.PACKAGE.python, "-m", "build", "--no-isolation", "--outdir", out, source, epoch=epoch)
    return sorted(out.glob("airflow_slipway-*"))


def bill_of_materials(source: Path, out: Path) -> Path:
    """Write what the package needs, in the versions that it is tested with.

    https://cyclonedx.org/specification/overview/

    :param source: a folder with the project
    :param out: where the file goes
    :returns: the file
    """
    [wheel] = out.glob("airflow_slipway-*.whl")
    written = out / f"{wheel.name.removesuffix('-py3-none-any.whl')}.cdx.json"
    pins = source / "pins.txt"
    uv = setup.MAIN.folder / "bin" / "uv"
    resolve: list[str | Path] = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"]
    resolve += ["--no-emit-find-links", "--extra", "cli", "--python", setup.MAIN.python]
    _run(*resolve, "-c", source / "constraints.txt", "-o", pins, source / "pyproject.toml")
    list_pins: list[str | Path] = [setup.PACKAGE.python, "-m", "cyclonedx_py", "requirements", "--output-reproducible"]
    _run(*list_pins, "--pyproject", source / "pyproject.toml", "--of", "JSON", "-o", written, pins)
    document = json.loads(written.read_text())
    document["metadata"]["component"]["version"] = wheel.name.split("-")[1]
    npm.add(document, source)
    written.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    _run(setup.PACKAGE.python, "-c", _VALIDATE, written)
    return written


def _git(*arguments: str) -> bytes:
    return subprocess.run([shutil.which("git") or "git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def _run(*command: str | Path, epoch: str = "") -> None:
    environment = setup.uv_environment(setup.MAIN.python) | ({"SOURCE_DATE_EPOCH": epoch} if epoch else {})
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"make: {Path(command[0]).name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    raise SystemExit(main())
