"""HTML in which every text is escaped: only what `tag` has made counts as markup."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any, Union

_VOID = frozenset({"br", "input", "link", "meta"})
# Not allowed in HTML, but for tab, newline and carriage return, which are.
# https://html.spec.whatwg.org/multipage/parsing.html#preprocessing-the-input-stream
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """A text that is HTML."""

    __slots__ = ()


Content = Union[str, int, float, None, "Iterable[Content]"]


def text(value: object) -> Markup:
    """Escape a text.

    :param value: anything; what HTML cannot hold becomes U+FFFD
    """
    return Markup(escape(_CONTROLS.sub("\ufffd", str(value))))


def tag(name: str, /, *content: Content, **attributes: Any) -> Markup:
    """Make an element.

    :param name: of the element, never from outside
    :param content: texts, which are escaped; markup; lists of both; None for nothing
    :param attributes: by name: ``class_`` is class, ``aria_label`` is aria-label; None and False leave one out
    """
    written = "".join(_attribute(attribute, value) for attribute, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(content)}</{name}>")


def joined(content: Content) -> Markup:
    """Join content to markup.

    :param content: as `tag` takes it
    """
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    if isinstance(content, str | int | float):
        return text(content)
    return Markup("".join(joined(one) for one in content))


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{text(value)}"'
