"""Windows: whether HTTP/2 fills a long fat path as HTTP/1.1 does, and whether a limiting window is flagged.

HTTP/2 has windows of its own above TCP's (RFC 9113, 5.2), and a client that leaves them small measures itself: at 100 ms
the 64 KiB of the RFC carry 5 Mbit/s. That ours never limit 100 ms x 1 Gbit/s is proven exactly by a simulated link in
tests/it/net/windows.rs; here a kernel, nginx and a relay take part. TCP's own windows are opened wide in the namespaces,
but in the last rows, which have the largest receive buffer of Linux's own (6 MiB): there the kernel is the limit.
"""

from accuracy_link import FRAME, PAYLOAD, SERVER, settle
from accuracy_nginx import Nginx
from accuracy_rate import SHARES
from accuracy_relay import Path
from accuracy_table import median, percent

DELAY, RATE = 0.05, 1_000_000_000
MIB = 1 << 20
OPEN, USUAL = 128 * MIB, 6 * MIB
# Doubling each round trip, TCP needs 1 s and 12.5 MB to get there; then it takes 1.2 s more.
LARGE, SMALL = 256 * MIB, 64 * MIB
VERSIONS = {"TLS": "1.1", "TLS h2": "2"}
# What nginx loses with HTTP/2 to frames that are not full.
RATIO = 0.97
COLUMNS = [("receive buffer", 14), ("over", 6), ("line, Mbit/s", 12), ("bandprobe, steady", 17), ("of the line", 11),
           ("goodput", 8), ("ramp", 8), ("curl", 8), ("flags", 20)]


def measure(rig):
    rounds = 3 if rig.quick else 5
    rig.sheet.table("Windows", f"{RATE // 1_000_000} Mbit/s with a round trip of {2e3 * DELAY:.0f} ms from nginx, medians "
                    f"of {rounds}; HTTP/1.1 and HTTP/2 in turn. `goodput` and curl's rate (from its first byte on) have "
                    "TCP's slow start in them.", COLUMNS)
    path = Path(DELAY, RATE)
    held = [path]
    try:
        held.append(Nginx(path, rig.directory, [LARGE, SMALL]))
        wide = [fetched(rig, path, OPEN, LARGE, rounds), fetched(rig, path, USUAL, SMALL, rounds)]
        late = path.report()
    finally:
        for one in reversed(held):
            one.close()
    report(rig.sheet, *wide)
    rig.sheet.note(f"The relay carried {late['packets']} packets, {1e3 * late['p50']:.2f} ms late in the median, "
                   f"{1e3 * late['p99']:.2f} ms at p99.")


def fetched(rig, path, buffer, size, rounds):
    for name in (path.server, path.client):
        settle(name, "ipv4/tcp_wmem", f"4096 16384 {OPEN}")
        settle(name, "ipv4/tcp_rmem", f"4096 131072 {buffer if name == path.client else OPEN}")
    found = {over: ([], []) for over in VERSIONS}
    for _ in range(rounds):
        for over, version in VERSIONS.items():
            url = f"https://{SERVER}/{size}"
            sample, = rig.clients.bandprobe(path.client, url, "--http", version)
            told = rig.clients.curl(path.client, url, f"--http{version}")
            found[over][0].append(sample)
            found[over][1].append(8 * told["size_download"] / (told["time_total"] - told["time_starttransfer"]))
    return found


def report(sheet, wide, usual):
    steady = {}
    for buffer, found in ((OPEN, wide), (USUAL, usual)):
        for over, (samples, curl) in found.items():
            line = RATE * PAYLOAD / FRAME * SHARES[over]
            rates = [sample["steady_bps"] for sample in samples if "steady_bps" in sample]
            flags = [flag for sample in samples for flag in sample.get("flags", "").split(",") if flag]
            rate = median(rates) or 0
            sheet.row(f"{buffer // MIB} MiB", over, mbit(line), mbit(rate), percent(rate / line - 1),
                      mbit(median([sample.get("goodput_bps", 0) for sample in samples])),
                      f"{median([sample.get('ramp_us', 0) for sample in samples]) / 1e6:.2f} s", mbit(median(curl)),
                      ", ".join(f"{flag} {flags.count(flag)}/{len(samples)}" for flag in sorted(set(flags))))
            limited, name = flags.count("receiver_limited"), f"windows, {buffer // MIB} MiB, {over}"
            if buffer == USUAL:
                sheet.limit(limited == len(samples), f"{name}: receiver_limited in {limited} of {len(samples)}")
            else:
                steady[over] = rate
                sheet.limit(limited == 0, f"{name}: receiver_limited in {limited} of {len(samples)}")
    one, two = steady["TLS"], steady["TLS h2"]
    sheet.limit(two >= RATIO * one > 0, f"windows: {mbit(two)} Mbit/s over HTTP/2, {mbit(one)} over HTTP/1.1")


def mbit(rate):
    return f"{rate / 1e6:.1f}"
