"""Phases: what bandprobe says of waits that a server was told to make, and stamped when it made them."""

from accuracy_link import SERVER, Link
from accuracy_server import Server
from accuracy_table import median, millis, rank

PHASES = ("dns", "connect", "tls", "send", "wait", "receive")
# Milliseconds before the ServerHello, before the status line and before the body: never two alike in one script.
SCRIPTS = [(5, 20, 80), (20, 80, 5), (80, 5, 20)]
LIMIT = 0.001
COLUMNS = [("phase", 8), ("scripted, ms", 12), ("bandprobe, median", 17), ("p99", 8), ("beyond the server's stamps, median", 34),
           ("p99", 8), ("curl, median", 12)]


def measure(rig):
    count = 30 if rig.quick else 100
    rig.sheet.table("Phases", f"Errors in ms, of {count} new connections over TLS 1.3 a script. `beyond the server's stamps` "
                    "is without the time by which the server itself was late; the path's own round trip, some 0.1 ms, "
                    "and the work of the handshake are in all of them.", COLUMNS)
    link = Link(200_000_000)
    server = Server(link.server, rig.directory)
    try:
        for script in SCRIPTS[:1] if rig.quick else SCRIPTS:
            scripted(rig, link, server, script, count)
    finally:
        server.close()
        link.close()


def scripted(rig, link, server, script, count):
    hello, wait, gap = script
    server.hello = hello / 1e3
    url = f"https://{SERVER}/x?bytes=1000&wait={wait}&gap={gap}"
    seen = len(server.log)
    samples = rig.clients.bandprobe(link.client, url, "--http", "1.1", "--repeat", str(count))
    stamps = server.log[seen:seen + count]
    told = [rig.clients.curl(link.client, url) for _ in range(10)]
    sums = [sum(sample.get(f"{phase}_us", 0) for phase in PHASES) == sample["total_us"] for sample in samples]
    rig.sheet.limit(all(sums) and len(sums) == count, f"phases: {sums.count(False)} of {len(sums)} sums are not the total")
    for phase, due, begun, ended, start, end in [
        ("tls", hello, "hello", "released", "time_connect", "time_appconnect"),
        ("wait", wait, "asked", "answered", "time_pretransfer", "time_starttransfer"),
        ("receive", gap, "answered", "body", "time_starttransfer", "time_total"),
    ]:
        errors = [sample[f"{phase}_us"] / 1e6 - due / 1e3 for sample in samples]
        beyond = [sample[f"{phase}_us"] / 1e6 - (stamp[ended] - stamp[begun]) for sample, stamp in zip(samples, stamps)]
        theirs = median([one[end] - one[start] - due / 1e3 for one in told])
        last = rank([abs(error) for error in beyond], 0.99)
        rig.sheet.row(phase, due, millis(median(errors)), millis(rank([abs(error) for error in errors], 0.99)),
                      millis(median(beyond)), millis(last), millis(theirs))
        rig.sheet.limit(phase == "tls" or last < LIMIT, f"phases, {phase} of {due} ms: p99 {millis(last)} ms")
