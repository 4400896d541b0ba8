"""When a schedule expression is due.

https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

from datetime import UTC, datetime

import pytest

from local_aws.autoscaling.schedules import parse


def epoch(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "due"),
    [
        ("at(2026-03-01T10:00:00)", None, "2026-03-01T09:59:59", "2026-03-01T10:00:00"),
        ("at(2026-03-01T10:00:00)", "Europe/Berlin", "2026-03-01T00:00:00", "2026-03-01T09:00:00"),
        ("at(2026-03-01T10:00:00)", None, "2026-03-01T10:00:00", None),
        ("cron(30 9 * * ? *)", None, "2026-03-01T09:30:00", "2026-03-02T09:30:00"),
        ("cron(30 9 * * ? *)", "America/New_York", "2026-01-05T00:00:00", "2026-01-05T14:30:00"),
        ("cron(0/15 * * * ? *)", None, "2026-03-01T09:31:00", "2026-03-01T09:45:00"),
        ("cron(0 8-10/2,20 ? * MON-FRI *)", None, "2026-02-27T20:00:00", "2026-03-02T08:00:00"),
        ("cron(0 0 ? * 1 *)", None, "2026-03-02T00:00:00", "2026-03-08T00:00:00"),
        ("cron(0 0 L FEB ? *)", None, "2026-03-01T00:00:00", "2027-02-28T00:00:00"),
        ("cron(0 0 29 2 ? *)", None, "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("cron(0 0 1 1 ? 2027)", None, "2027-01-01T00:00:00", None),
        # 02:30 does not exist in the night of the change to daylight saving time.
        ("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-30T00:30:00"),
    ],
)
def test_next_time(expression, timezone, after, due):
    found = parse(expression, timezone).next(epoch(after), epoch(after))
    assert found == (due and epoch(due))


def test_a_rate_counts_from_its_start():
    rate = parse("rate(5 minutes)", None)
    assert [rate.next(after, start=100.0) for after in (0.0, 100.0, 399.0, 400.0, 1000.0)] == [
        400.0,
        400.0,
        400.0,
        700.0,
        1300.0,
    ]
    assert parse("rate(1 day)", None).next(0.0, 0.0) == 86400


@pytest.mark.parametrize(
    ("expression", "timezone"),
    [
        ("5 minutes", None),
        ("rate(0 minutes)", None),
        ("rate(5 seconds)", None),
        ("at(tomorrow)", None),
        ("cron(0 0 * * ?)", None),
        ("cron(60 0 * * ? *)", None),
        ("cron(0 0 ? * 8 *)", None),
        ("cron(0 0 1W * ? *)", None),
        ("cron(0 10-8 * * ? *)", None),
        ("rate(5 minutes)", "Mars/Base"),
    ],
)
def test_bad_expressions(expression, timezone):
    with pytest.raises(ValueError, match=r"."):
        parse(expression, timezone)
