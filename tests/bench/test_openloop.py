"""The truth of an open loop: the script's percentiles, the engine's beside them, and the server that stalls."""

import asyncio

import pytest

from bench import openloop
from bench.openloop import AUTOCANNON, CONNECTIONS, HEY, OURS, PERCENTS, Latencies, expected
from bench.stalls import SCRIPT, Clock, Script, StallingServer, percentile
from slipway.load.phases import Arrivals, shares
from slipway.load.rows import Row
from slipway.load.sender import Reply
from slipway.load.sending_loops import Drive
from slipway.load.tally import milliseconds
from tests.unit.load.endpoints import StallingSender, in_virtual_time

REQUEST = b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n1,2"


def test_a_request_in_a_stall_waits_for_its_end():
    script = Script(rate_rps=4, seconds=2, stalls=[(0.5, 1.25), (1.6, 3.0)])
    assert script.latencies() == pytest.approx([0, 0, 0.75, 0.5, 0.25, 0, 0, 1.25])


@pytest.mark.parametrize(("percent", "value"), [(50, 500), (90, 900), (99, 990), (99.9, 999), (100, 1000)])
def test_a_percentile_is_the_nearest_rank(percent, value):
    assert percentile(range(1000, 0, -1), percent) == value


def test_the_scripts_stalls_are_what_its_percentiles_are_made_of():
    # Delays of a busy machine are a hundredth of the median, and all of the stalls end before the load does.
    assert expected().ms[0] > 1000
    ends = [moment for stall in SCRIPT.stalls for moment in stall]
    assert ends == sorted(ends)
    assert ends[-1] < SCRIPT.seconds


class Scripted(StallingSender):
    """Answers as the script says."""

    def send(self, body, done):
        now = self.clock()
        asyncio.get_running_loop().call_later(SCRIPT.answered_at(now) - now, done, Reply("blue", b"0"))


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("connections", [1, CONNECTIONS, 200])
def test_the_engine_tells_the_truth_however_few_requests_may_be_in_flight(connections, processes):
    async def run(clock):
        phase = Arrivals(SCRIPT.rate_rps, SCRIPT.seconds, connections)
        parts = shares(phase, min(processes, connections))
        drives = [Drive(part, [Row("0", "1,2")], Scripted(clock), 0.0, clock) for part in parts]
        await asyncio.gather(*(drive.run() for drive in drives))
        total = drives[0].take()
        for drive in drives[1:]:
            total.add(drive.take())
        return total.settle()

    tally = in_virtual_time(lambda clock: run(clock))
    assert tally.sent == tally.answered == expected().requests
    found = [milliseconds(tally.latency, percent) for percent in PERCENTS]
    assert found == pytest.approx(expected().ms, rel=0.002)
    if connections == CONNECTIONS:
        # Counted from the sending, most requests would seem to have met no stall.
        assert milliseconds(tally.service, 50) < 0.1 * expected().ms[0]


class Transport:
    """What a server has written, and when."""

    def __init__(self, clock):
        self.clock, self.written = clock, []

    def is_closing(self):
        return False

    def write(self, data):
        self.written.append((round(self.clock(), 3), data[:12]))


def test_the_server_holds_what_arrives_in_a_stall_from_the_first_invocation_on():
    script = Script(rate_rps=1, seconds=9, stalls=[(1.0, 3.5)])

    async def run(clock):
        transport, begun = Transport(clock), Clock(clock)
        await asyncio.sleep(10)
        server = StallingServer(script, begun)
        server.connection_made(transport)
        server.data_received(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        await asyncio.sleep(10)
        for pieces in ([REQUEST], [REQUEST[:30], REQUEST[30:-1], REQUEST[-1:]], [REQUEST]):
            for piece in pieces:
                server.data_received(piece)
            await asyncio.sleep(2)
        await asyncio.sleep(9)
        return transport.written

    refused, ok = b"HTTP/1.1 400", b"HTTP/1.1 200"
    # The script begins at 20 s; what arrives at 22 s is in the stall, which ends at 23.5 s.
    written = in_virtual_time(lambda clock: run(clock))
    assert written == [(10.0, refused), (20.0, ok), (23.5, ok), (24.0, ok)]


def test_the_engine_alone_has_a_bound_and_a_percentile_too_low_is_as_wrong_as_one_too_high():
    right = expected()
    wrong = Latencies(630, (*right.ms[:-1], right.ms[-1] / 2))
    part = openloop.part({OURS: right, AUTOCANNON: wrong, HEY: wrong})
    assert part.kept
    assert [row[-1] for row in part.rows] == ["", "0.0", "50.0", "50.0"]
    assert part.figures["the script"]["percent_off"] is None
    assert not openloop.part({OURS: wrong}).kept
    assert not openloop.part({OURS: Latencies(1000, tuple(1.03 * ms for ms in right.ms))}).kept
