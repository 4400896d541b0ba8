"""A whole log, a part at a time."""

from local_aws.console.html import tag
from local_aws.console.pages.jobs import log_lines
from local_aws.console.parts import onward
from local_aws.console.request import Asked, Missing, Page
from local_aws.console.sources import Sources

_LINES = 1000


def log(asked: Asked, sources: Sources) -> Page:
    """Show the end of a log, or a part further up."""
    group, prefix = asked.get("group"), asked.get("stream")
    views = sources.views.alarms
    streams = views.log_streams(asked.scope, group, prefix)
    if not streams:
        raise Missing(f"There is no log of {prefix} in {group}.")
    name = streams[min(asked.whole("number", 0), len(streams) - 1)][0]
    events = views.log_events(asked.scope, group, name)
    total = len(events)
    end = min(asked.whole("end", total), total)
    start = max(0, end - _LINES)
    where: dict[str, str | float] = {"group": group, "stream": prefix, "number": asked.whole("number", 0)}
    links = (
        start and asked.link("Earlier lines", "log", **where, end=start),
        end < total and asked.link("Later lines", "log", **where, end=min(total, end + _LINES)),
        end < total and asked.link("The end", "log", **where),
    )
    others = [
        asked.link(other, "log", group=group, stream=prefix, number=index)
        for index, (other, _) in enumerate(streams[:100])
        if other != name
    ]
    note = tag("p", f"Lines {start + 1:,} to {end:,} of {total:,} in {group}, {name}.", class_="note")
    return Page("Log", (note, onward(*links), log_lines(events[start:end]), onward(*others)), "jobs")
