"""What was sent: messages to topics, and those that wait in queues."""

from local_aws.console.html import tag
from local_aws.console.parts import Cell, cut, folded, moment, number, onward, section, table
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources

_SHOWN = 200
_MOST = 20_000


def messages(asked: Asked, sources: Sources) -> Page:
    """List what was published, the topics and the queues."""
    views = sources.views.messages
    start = asked.whole("start", 0)
    published = views.published(asked.scope)
    sent = [
        (moment(one.at), one.topic_arn.rpartition(":")[2], one.subject, _body(f"message-{one.message_id}", one.message))
        for one in published[start : start + ROWS]
    ]
    more = start + ROWS < len(published) and asked.link("Older messages", "messages", start=start + ROWS)
    topics = [
        (
            one["name"],
            Cell(", ".join(f"{sub.get('protocol')} {sub.get('endpoint')}" for sub in one["subscriptions"]), "long"),
        )
        for one in views.topics(asked.scope)
    ]
    queues = [
        (asked.link(one["name"], "queue", name=one["name"]), number(len(one["messages"])))
        for one in views.queues(asked.scope)
    ]
    content = (
        tag(
            "p",
            "What topics were sent since the start, 1,000 messages at most. There is no SES, and no e-mail is sent.",
            class_="note",
        ),
        section(
            "Published",
            table("Published, the newest first", ("time (UTC)", "topic", "subject", "message"), sent),
            onward(more),
        ),
        section("Topics", table("Topics", ("topic", "subscribers"), topics)),
        section("Queues", table("Queues", ("queue", "messages that wait"), queues)),
    )
    return Page("Messages", content, "messages")


def queue(asked: Asked, sources: Sources) -> Page:
    """List the messages that wait in a queue; looking at them does not receive them."""
    name = asked.get("name")
    found = next((one for one in sources.views.messages.queues(asked.scope) if one["name"] == name), None)
    if found is None:
        raise Missing(f"There is no queue {name}.")
    start = asked.whole("start", 0)
    waiting = found["messages"]
    rows = [
        (moment(one["sent_at"]), number(one["receive_count"]), _body(f"message-{one['id']}", one["body"]))
        for one in waiting[start : start + ROWS]
    ]
    more = start + ROWS < len(waiting) and asked.link("Later messages", "queue", name=name, start=start + ROWS)
    made = table("Messages, the oldest first", ("sent (UTC)", "received", "message"), rows)
    return Page(name, (made, onward(more)), "messages")


def _body(name: str, body: str) -> Cell:
    if len(body) <= _SHOWN:
        return Cell(body, "long")
    return Cell(folded(name, f"{body[:_SHOWN]} …", tag("pre", cut(body, _MOST), class_="wrapped")), "long")
