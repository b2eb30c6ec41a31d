"""Phases: what bandprobe says of a path, a resolver and a server that take their time, against what was on the wire.

The scripts make the times, `accuracy_wire` measures them at the client's own device: its docstring says which packets mark
which phase. The error is what a client says beyond that: its own work, its system calls, and the time until it ran.
"""

from accuracy_dns import NAME, Resolver
from accuracy_link import Fault
from accuracy_relay import Path
from accuracy_server import Server
from accuracy_table import median, millis, rank
from accuracy_wire import Tap, phases, transfers

PHASES = ("dns", "connect", "tls", "send", "wait", "receive")
# Milliseconds: the round trip, and beyond it before the resolver's answer, the ServerHello and the status line; before the
# body the whole of it. Never two alike in one script.
SCRIPTS = [(10, 30, 5, 20, 80), (40, 5, 20, 80, 30), (150, 80, 30, 5, 20)]
# The fewest of which p99 is not simply the worst.
COUNT = 100
LIMIT = 0.001
# By curl's clock: what ends each phase, and what ended before it began.
CURL = {"dns": ("time_namelookup", None), "connect": ("time_connect", "time_namelookup"),
        "tls": ("time_appconnect", "time_connect"), "wait": ("time_starttransfer", "time_pretransfer"),
        "receive": ("time_total", "time_starttransfer")}
COLUMNS = [("round trip", 10), ("phase", 8), ("scripted, ms", 12), ("on the wire, median", 19),
           ("bandprobe, median error", 23), ("p99", 6), ("worst", 6), ("curl, median error", 18), ("p99", 6)]


def measure(rig):
    rig.sheet.table("Phases", f"Times in ms, of {COUNT} new connections over TLS 1.3 a script; errors are against the wire, "
                    "p99 and worst of their size. That of `tls` is the client's own cryptography, which the wire does not "
                    "show.", COLUMNS)
    late = [scripted(rig, script) for script in (SCRIPTS[:1] if rig.quick else SCRIPTS)]
    packets, usual = sum(one["packets"] for one in late), median([one["p50"] for one in late])
    most = max(one["p99"] for one in late)
    rig.sheet.note(f"The relay carried {packets} packets, {1e3 * usual:.2f} ms late in the median, up to {1e3 * most:.2f} ms at "
                   "p99: the wire shows that, so no error has it.")


def scripted(rig, script):
    """The rows of one script; returns the relay's report."""
    trip, name, hello, wait, gap = script
    path = Path(trip / 2e3)
    held = [path]
    try:
        held.append(server := Server(path.server, rig.directory))
        held.append(resolver := Resolver(path.server, rig.directory))
        held.append(tap := Tap(path.client, "near"))
        server.hello, resolver.delay = hello / 1e3, name / 1e3
        url = f"https://{NAME}/x?bytes=1000&wait={wait}&gap={gap}"
        samples = rig.clients.bandprobe(path.client, url, "--http", "1.1", "--repeat", str(COUNT), enter=resolver.enter())
        ours = paired(tap, server, path, [told(sample) for sample in samples])
        theirs = [pair for _ in range(COUNT // 5) for pair in
                  paired(tap, server, path, [curled(rig.clients.curl(path.client, url, enter=resolver.enter()))])]
        late = path.report()
    finally:
        for one in reversed(held):
            one.close()
    sums = [sum(sample.get(f"{phase}_us", 0) for phase in PHASES) == sample["total_us"] for sample in samples]
    rig.sheet.limit(all(sums) and len(sums) == COUNT, f"phases: {sums.count(False)} of {len(sums)} sums are not the total")
    due = {"dns": trip + name, "connect": trip, "tls": trip + hello, "wait": trip + wait, "receive": gap}
    for phase in due:
        report(rig.sheet, trip, phase, due[phase], ours, theirs)
    return late


def told(sample):
    return {phase: sample.get(f"{phase}_us", 0) / 1e6 for phase in CURL}


def curled(one):
    return {phase: one[end] - (one[begin] if begin else 0) for phase, (end, begin) in CURL.items()}


def paired(tap, server, path, said):
    """What was said of each transfer, and what the wire showed of it: one came after the other."""
    found, stamps = transfers(tap.take()), server.log[-len(said):]
    if [connection[0].port for _, connection in found] != [stamp["port"] for stamp in stamps]:
        raise Fault(f"{len(found)} connections on the wire, {len(stamps)} at the server, {len(said)} told")
    return list(zip(said, (phases(*packets, stamp, path.delay) for packets, stamp in zip(found, stamps)), strict=True))


def report(sheet, trip, phase, due, ours, theirs):
    wire = [true[phase] for _, true in ours]
    errors = [said[phase] - true[phase] for said, true in ours]
    others = [said[phase] - true[phase] for said, true in theirs]
    size, other = ([abs(error) for error in some] for some in (errors, others))
    last = rank(size, 0.99)
    sheet.row(trip, phase, due, f"{1e3 * median(wire):.2f}", millis(median(errors)), f"{1e3 * last:.2f}",
              f"{1e3 * max(size):.2f}", millis(median(others)), f"{1e3 * rank(other, 0.99):.2f}")
    name = f"phases, {phase} of {due} ms"
    sheet.limit(median(wire) >= due / 1e3 - EARLY, f"{name}: {1e3 * median(wire):.2f} ms on the wire, less than scripted")
    if phase == "tls":
        sheet.limit(median(errors) <= median(others), f"{name}: the client's own work took {millis(median(errors))} ms, "
                    f"{millis(median(others))} in curl")
        return
    sheet.limit(last < LIMIT, f"{name}: p99 of the error {1e3 * last:.2f} ms")


# A path and a server are late or in time, so a truth that is shorter than the script was read off the wrong packets.
# A head that is late itself shortens `receive`.
EARLY = 0.0005
