"""What is wrong with the source of an image, collected so that its author corrects all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipway.errors import ImageRefused
from slipway.validation import shortened


@dataclass
class Refusals:
    """The problems of one source."""

    _found: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, where: str, why: str, fix: str) -> None:
        """Add a problem.

        :param where: the file, and the line in it if there is one
        :param why: what was expected and what was found
        :param fix: what the author can do
        """
        self._found.append((where, why, fix))

    def raise_any(self) -> None:
        """Raise one error for all problems, if there are any.

        :raises ImageRefused: with a line for each of the first problems
        """
        if not self._found:
            return
        lines = shortened([f"{where}: {why}" for where, why, _ in self._found])
        fixes = shortened(list(dict.fromkeys(fix for _, _, fix in self._found)))
        raise ImageRefused(
            "The image's source is refused",
            resource=", ".join(dict.fromkeys(where.partition(" line ")[0] for where, _, _ in self._found)),
            why="\n".join(lines),
            fix="; ".join(fixes),
        )
