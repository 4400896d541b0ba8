"""How `pip` in a RUN reaches this machine's package index, and reaches nothing else.

Read from pip's own settings and from nothing else: https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from local_aws.compute.sandbox.spec import Bind, Proxy

_DEFAULT_INDEX = "https://pypi.org/simple"
# The index names the files' host, which for PyPI is this one: https://docs.pypi.org/api/
_FILES_OF = {"pypi.org": "files.pythonhosted.org"}
_INDEXES = ("index-url", "extra-index-url")
_FOLDERS = ("find-links",)
_FILES = ("cert", "constraint")
_PASSED = ("no-index", "trusted-host", "timeout", "default-timeout", "retries")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Index:
    """What the settings come to.

    :param config: pip's configuration file for a RUN
    :param hosts: that it needs, as `name:port`
    :param paths: directories and files of this machine that it needs
    :param upstream: the machine's own proxy as `name:port`, empty without one
    """

    config: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...] = ()
    upstream: str = ""

    def binds(self) -> tuple[Bind, ...]:
        """Return what a sandbox must see of the machine."""
        return tuple(Bind(path, path) for path in self.paths)

    def proxy(self) -> Proxy:
        """Return the sandbox's way out."""
        return Proxy(self.hosts, self.upstream)


def of_this_machine(environment: Mapping[str, str]) -> Index:
    """Ask pip for its settings.

    :param environment: pip's, and the proxy's
    """
    command = [sys.executable, "-P", "-m", "pip", "config", "list"]
    output = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment)).stdout
    settings: dict[str, str] = {}
    # What the environment says counts more than files.
    for line in sorted(output.splitlines(), key=lambda found: found.startswith(":env:")):
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return from_settings(settings, environment.get("HTTPS_PROXY") or environment.get("https_proxy") or "")


def from_settings(settings: dict[str, str], proxy: str = "") -> Index:
    """Choose what a RUN needs.

    :param settings: pip's, by their long names
    :param proxy: address of the machine's own proxy, empty for none
    """
    hosts: list[str] = []
    paths: list[str] = []
    lines = ["[global]"]
    used = {"index-url": _DEFAULT_INDEX} | settings
    for name in (*_INDEXES, *_FOLDERS):
        for address in used.get(name, "").split():
            parts = urlsplit(address)
            if parts.scheme in _PORTS and parts.hostname:
                names = [parts.hostname, *filter(None, [_FILES_OF.get(parts.hostname)])]
                hosts += [f"{found}:{parts.port or _PORTS[parts.scheme]}" for found in names]
            elif name in _FOLDERS and parts.scheme != "file":
                paths.append(address)
            else:
                # An index of files has its packages beside itself, to which its pages lead.
                place = Path(unquote(parts.path))
                paths.append(str(place.parent if name in _INDEXES else place))
    for name in _FILES:
        paths += [value for value in used.get(name, "").split() if Path(value).is_file()]
    for name in (*_INDEXES, *_FOLDERS, *_FILES, *_PASSED):
        if name in used:
            lines.append(f"{name} = {' '.join(used[name].split())}")
    upstream = urlsplit(settings.get("proxy") or proxy)
    return Index(
        config="\n".join(lines) + "\n",
        hosts=tuple(dict.fromkeys(hosts)),
        paths=tuple(dict.fromkeys(path for path in paths if Path(path).exists())),
        upstream=f"{upstream.hostname}:{upstream.port or 80}" if upstream.hostname else "",
    )
