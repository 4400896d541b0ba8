"""Reports of several processes, put together by the second."""

from slipway.load.seconds import Book
from slipway.load.tally import Tally, milliseconds


def tally(answers, seconds=0.01):
    made = Tally(sent=answers + 1)
    for _ in range(answers):
        made.answer("blue", True, seconds, seconds)
    made.errors["timeout"] += 1
    return made.settle()


def test_a_second_is_complete_when_every_process_has_reported_it():
    instances = {"blue": 1}
    book = Book(2, lambda: dict(instances))
    book.note(0, 0, tally(98), 0.2)
    assert book.latest is None
    instances["blue"] = 2
    book.note(1, 0, tally(2, seconds=0.5), 0.7)
    book.note(1, 1, tally(4), 0.1)
    [second] = book.seconds
    assert second == book.latest
    assert (second.second, second.sent, second.answered, second.right) == (0, 102, 100, 100)
    assert (second.errors, second.variants, second.instances) == ({"timeout": 2}, {"blue": 100}, {"blue": 2})
    assert (round(second.p50_ms), round(second.p99_ms)) == (10, 500)
    assert (book.total.sent, book.cpu_share) == (102, 0.7)


def test_one_that_has_ended_is_not_waited_for():
    book = Book(2, dict)
    book.note(0, 0, tally(1), 0.1)
    book.note(1, 0, tally(1), 0.1)
    book.note(1, 1, tally(2), 0.1)
    book.note(1, 2, tally(3), 0.1)
    book.end(0)
    book.note(1, 3, tally(4), 0.1)
    assert [(second.second, second.answered) for second in book.seconds] == [(0, 2), (1, 2), (2, 3), (3, 4)]
    book.end(1)
    assert book.total.answered == 11
    assert milliseconds(book.total.latency, 50) == milliseconds(tally(11).latency, 50)


def test_what_is_kept_of_a_second_has_no_histogram():
    book = Book(1, dict)
    for second in range(5):
        book.note(0, second, tally(1), 0.1)
    assert not book._open
    assert all(isinstance(value, int | float | dict) for second in book.seconds for value in vars(second).values())
