"""Rate: goodput of a body through a token bucket, against what the bucket passes."""

import concurrent.futures
import time

from accuracy_link import FRAME, PAYLOAD, SERVER, Link, payload_rate
from accuracy_nginx import MOST_PAD, Nginx
from accuracy_server import Server, pace
from accuracy_table import median, percent, worst

MIB = 1 << 20
# What the body is of the TCP payload: records of TLS 1.3 hold 16 KiB and 22 octets more (RFC 8446, 5.2), and the
# frames that nginx makes of HTTP/2 8 KiB and 9 octets (RFC 9113, 4.1).
SHARES = {"plain": 1, "TLS": 16384 / 16406, "TLS h2": 16384 / 16406 * 8192 / 8201}
SMALL = MIB
# Of a transfer that the product's own deadline cuts off, curl's twin is cut off as well.
DEADLINE = 20
COLUMNS = [("Mbit/s", 6), ("body", 8), ("over", 6), ("truth, Mbit/s", 13), ("bandprobe", 9), ("worst", 8), ("curl", 9),
           ("the link itself", 15), ("flags", 20)]


def measure(rig):
    sheet, rounds = rig.sheet, 3 if rig.quick else 5
    sheet.table("Rate", f"The truth is the bucket's rate x {PAYLOAD}/{FRAME} x the body's share of the TCP payload. Errors "
                f"are medians of {rounds}; `worst` is the farthest of them. `the link itself` is the pace of the client "
                "kernel's acknowledgements, seen by the server: what the bucket really passed.", COLUMNS)
    slow = [cell for cell in cells(rig.quick) if cell[0] < 10]
    fast = [cell for cell in cells(rig.quick) if cell[0] >= 10]
    # Slow links need no CPU, so they run in parallel, each in its own namespaces.
    with concurrent.futures.ThreadPoolExecutor(len(slow) or 1) as threads:
        runs = [threads.submit(cell_of, rig, *cell, rounds) for cell in slow]
        try:
            found = [run.result() for run in runs]
        except BaseException:
            rig.clients.close()
            raise
    for cell, results in zip(slow, found):
        report(sheet, *cell, *results)
    for cell in fast:
        report(sheet, *cell, *cell_of(rig, *cell, rounds))


def cells(quick):
    if quick:
        return [(8, MIB // 4, "plain"), (8, MIB, "plain"), (8, MIB, "TLS"), (50, MIB, "plain"), (50, 5 * MIB, "TLS"),
                (50, 5 * MIB, "TLS h2"), (200, 5 * MIB, "plain"), (200, 20 * MIB, "TLS")]
    sizes = [MIB // 4, MIB, 5 * MIB, 20 * MIB]
    both = [(rate, size, over) for rate in (2, 8, 50, 200) for size in sizes for over in ("plain", "TLS")]
    return sorted(both + [(rate, size, "TLS h2") for rate in (50, 200) for size in sizes[2:]])


def cell_of(rig, rate, size, over, rounds):
    """Errors of bandprobe, of curl and of the link, and the flags."""
    link = Link(rate * 1_000_000, burst=MOST_PAD if over == "TLS h2" else None)
    server = Nginx(link, rig.directory, [size]) if over == "TLS h2" else Server(link.server, rig.directory)
    truth = payload_rate(link.rate) * SHARES[over]
    ours, theirs, passed, flags = [], [], [], set()
    try:
        url = place(link, size, over)
        version = "2" if over == "TLS h2" else "1.1"
        for _ in range(rounds):
            sample, = rig.clients.bandprobe(link.client, url, "--http", version, "--deadline", f"{DEADLINE}s")
            flags |= set(sample.get("flags", sample["outcome"] if sample["outcome"] != "ok" else "").split(",")) - {""}
            if "goodput_bps" in sample:
                ours.append(sample["goodput_bps"] / truth - 1)
            if over != "TLS h2":
                time.sleep(0.02)
                seen = pace(server.log[-1]["acks"])
                passed += [seen / payload_rate(link.rate) - 1] if seen else []
            told = rig.clients.curl(link.client, url, f"--http{version}", "--max-time", str(DEADLINE))
            theirs.append(8 * told["speed_download"] / truth - 1)
    finally:
        server.close()
        link.close()
    return ours, theirs, passed, flags


def place(link, size, over):
    scheme = "http" if over == "plain" else "https"
    if over == "TLS h2":
        return f"{scheme}://{SERVER}/{size}"
    return f"{scheme}://{SERVER}/x?bytes={size}&pad={link.burst}&acks=1"


def report(sheet, rate, size, over, ours, theirs, passed, flags):
    body = f"{size // MIB} MiB" if size >= MIB else f"{size >> 10} KiB"
    truth = payload_rate(rate * 1e6) * SHARES[over] / 1e6
    error, link = median(ours), median(passed)
    sheet.row(rate, body, over, f"{truth:.3f}", percent(error), percent(worst(ours)), percent(median(theirs)),
              percent(link), " ".join(sorted(flags)))
    name = f"rate, {rate} Mbit/s, {body}, {over}"
    if size < SMALL:
        sheet.limit(not ours and "too_small" in flags, f"{name}: a rate was given, or no too_small: {flags}")
        return
    # A link that did not keep its own rate is no fault of who measures it.
    off = min(abs(error - kept) for kept in (0, link or 0)) if ours else None
    sheet.limit(off is not None and off <= 0.01, f"{name}: off by {percent(error)}, the link by {percent(link)}")
