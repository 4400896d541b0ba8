"""S3's buckets, and the names and versions of their objects. Contents are not shown: they need a signed request."""

from local_aws.console.html import tag
from local_aws.console.parts import Cell, field, long, moment, number, onward, plain, search, size, table
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources

# Objects of a bucket, for the list of buckets.
_COUNTED = 1000


def buckets(asked: Asked, sources: Sources) -> Page:
    """List the account's buckets."""
    start = asked.whole("start", 0)
    every = sources.views.objects.buckets(asked.scope)
    rows = [
        (
            asked.link(name, "bucket", name=name),
            one["region"],
            one["versioning"],
            _counted(sources.views.objects.count(asked.scope, name, _COUNTED + 1)),
            moment(one["created"]),
        )
        for name, one in every[start : start + ROWS]
    ]
    more = start + ROWS < len(every) and asked.link("More buckets", "buckets", start=start + ROWS)
    heads = ("bucket", "region", "versioning", "objects", "created (UTC)")
    return Page("Buckets", (table("Buckets", heads, rows), onward(more)), "buckets")


def _counted(objects: int) -> Cell:
    return number(objects) if objects <= _COUNTED else Cell(f"more than {plain(_COUNTED)}", "number")


def bucket(asked: Asked, sources: Sources) -> Page:
    """List a bucket's keys."""
    name, after = asked.get("name"), asked.query.get("after", "")
    prefix = asked.query.get("prefix", "")
    found = sources.views.objects.keys(asked.scope, name, prefix, after, ROWS + 1)
    if found is None:
        raise Missing(f"There is no bucket {name}.")
    rows = [
        (
            asked.link(one.key, "object", bucket=name, key=one.key),
            size(one.current.size) if one.current.size is not None else Cell("deleted", "number"),
            number(one.versions),
            moment(one.current.modified),
        )
        for one in found[:ROWS]
    ]
    more = len(found) > ROWS and asked.link("More keys", "bucket", name=name, prefix=prefix, after=found[ROWS - 1].key)
    first = after and asked.link("First keys", "bucket", name=name, prefix=prefix)
    heads = ("key", "size", "versions", "changed (UTC)")
    kept = tag("input", type="hidden", name="name", value=name)
    form = search(asked, "Keys", kept, field("Key begins with", "prefix", prefix))
    return Page(name, (table("Keys", heads, rows), onward(first, more)), "buckets", form)


def object_(asked: Asked, sources: Sources) -> Page:
    """List the versions of an object."""
    name, key = asked.get("bucket"), asked.query.get("key", "")
    start = asked.whole("start", 0)
    found = sources.views.objects.versions(asked.scope, name, key)
    if not found:
        raise Missing(f"There is no object {key} in the bucket {name}.")
    rows = [
        (
            one.version_id,
            Cell("delete marker", "number") if one.size is None else size(one.size),
            "yes" if one.latest else "",
            moment(one.modified),
            long(one.etag),
        )
        for one in found[start : start + ROWS]
    ]
    more = start + ROWS < len(found) and asked.link(
        "Older versions", "object", bucket=name, key=key, start=start + ROWS
    )
    where = tag("p", "In the bucket ", asked.link(name, "bucket", name=name), ".")
    heads = ("version", "size", "current", "changed (UTC)", "ETag")
    return Page(key, (where, table("Versions, the newest first", heads, rows), onward(more)), "buckets")
