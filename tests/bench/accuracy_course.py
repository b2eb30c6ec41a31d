"""The course of a body: rates that change, silence, and bodies other than the requested one."""

from accuracy_link import FRAME, PAYLOAD, SERVER, Link, payload_rate
from accuracy_server import Server
from accuracy_table import median, millis, percent

MBIT = 1_000_000
MIB = 1 << 20
# Rates before and after the step, and when it comes.
SLOW, FAST, AT = 10 * MBIT, 50 * MBIT, 0.5
# Ramps end at an edge of the timeline's bins, which are 10 ms wide at first, and 20 ms in a body of over 2.5 s.
RAMP_LIMIT = 0.03
GAP_LIMIT = 0.01
COLUMNS = [("case", 47), ("truth", 12), ("bandprobe", 24), ("error", 9), ("curl", 38)]


def measure(rig):
    rig.sheet.table("Course", "Changes in the middle of a body, and wrong bodies. True times are the server's own "
                    "timestamps. All values are medians of the runs.", COLUMNS)
    rounds = 1 if rig.quick else 3
    steps(rig, SLOW, FAST, 10 * MIB, rounds)
    steps(rig, FAST, SLOW, 4 * MIB, rounds)
    link = Link(FAST)
    server = Server(link.server, rig.directory)
    try:
        for pause in (500, 2000):
            silence(rig, link, server, pause, rounds)
        for case in WRONG:
            wrong(rig, link, *case)
    finally:
        server.close()
        link.close()


def steps(rig, before, after, size, rounds):
    link = Link(before, burst=40_000)
    server = Server(link.server, rig.directory)
    server.on_step = lambda: link.change(after)
    url = f"http://{SERVER}/x?bytes={size}&pad={link.burst}&step={AT * 1e3:.0f}"
    ours, theirs, truths = [], [], []
    try:
        for client in [*["bandprobe"] * rounds, "curl"]:
            link.change(before)
            if client == "curl":
                theirs = rig.clients.curl(link.client, url)
                continue
            sample, = rig.clients.bandprobe(link.client, url)
            ours.append(sample)
            truths.append(server.log[-1]["stepped"] - server.log[-1]["body"])
    finally:
        server.close()
        link.close()
    name = f"{before // MBIT} → {after // MBIT} Mbit/s after {AT} s, {size // MIB} MiB"
    said = f"{8 * theirs['speed_download'] / 1e6:.2f} Mbit/s"
    if after > before:
        rate = payload_rate(after)
        errors = [sample.get("steady_bps", 0) / rate - 1 for sample in ours]
        row(rig, f"{name}: steady", mbit(rate), mbit(median([sample.get("steady_bps", 0) for sample in ours])),
            percent(median(errors)), said, abs(median(errors)) <= 0.01)
        errors = [sample.get("ramp_us", 0) / 1e6 - truth for sample, truth in zip(ours, truths)]
        row(rig, f"{name}: ramp", f"{median(truths):.3f} s", f"{median([s.get('ramp_us', 0) for s in ours]) / 1e6:.3f} s",
            f"{millis(median(errors))} ms", "", abs(median(errors)) <= RAMP_LIMIT)
        return
    # A bucket whose rate is changed is filled again: that much comes as a burst.
    rest = [8 * size - payload_rate(before) * truth - 8 * link.burst * PAYLOAD / FRAME for truth in truths]
    means = [8 * size / (truth + left / payload_rate(after)) for truth, left in zip(truths, rest)]
    errors = [sample["goodput_bps"] / mean - 1 for sample, mean in zip(ours, means)]
    row(rig, f"{name}: goodput", mbit(median(means)), mbit(median([sample["goodput_bps"] for sample in ours])),
        percent(median(errors)), said, abs(median(errors)) <= 0.01)
    low = [sample["min_interval_bps"] / payload_rate(after) - 1 for sample in ours]
    row(rig, f"{name}: least 250 ms", mbit(payload_rate(after)), mbit(median([s["min_interval_bps"] for s in ours])),
        percent(median(low)), "", True)


def silence(rig, link, server, pause, rounds):
    size = 2 * MIB
    url = f"http://{SERVER}/x?bytes={size}&pad={link.burst}&pause={size // 2}:{pause}"
    ours, errors, gaps = [], [], []
    for _ in range(rounds):
        sample, = rig.clients.bandprobe(link.client, url)
        stamps = server.log[-1]
        truth = stamps["resumed"] - stamps["silent"]
        ours.append(sample)
        errors.append(sample.get("stalled_us", 0) / 1e6 - truth)
        gaps.append(sample.get("longest_gap_us", 0) / 1e6 - truth)
    told = rig.clients.curl(link.client, url)
    fits = {sample.get("stalls") for sample in ours} == {1} and all("stalled_some" in s["flags"] for s in ours)
    row(rig, f"silence of {pause / 1e3:g} s: stalls", "1", ", ".join(str(sample.get("stalls")) for sample in ours), "",
        verdict(told), fits)
    for name, key, off in (("stalled", "stalled_us", errors), ("longest gap", "longest_gap_us", gaps)):
        row(rig, f"silence of {pause / 1e3:g} s: {name}", f"{pause / 1e3:.3f} s",
            f"{median([sample.get(key, 0) for sample in ours]) / 1e6:.3f} s", f"{millis(median(off))} ms", "",
            abs(median(off)) <= GAP_LIMIT)


# What the server does, its script, the expected outcome, and the options of bandprobe and curl.
WRONG = [
    ("body of 2 MiB ends after 1 MiB", f"bytes={2 * MIB}&cut={MIB}", "truncated", [], []),
    ("not the requested range", f"bytes={2 * MIB}&answer=wrong-range", "wrong_range",
     ["--range", f"0-{2 * MIB - 1}"], ["--range", f"0-{2 * MIB - 1}"]),
    ("range requested, 200 with everything", f"bytes={4 * MIB}", "wrong_range",
     ["--range", f"0-{2 * MIB - 1}"], ["--range", f"0-{2 * MIB - 1}"]),
    ("an HTML page for a video, 200", f"bytes={2 * MIB}&answer=html", "wrong_type", ["--expect", "video"], []),
]


def wrong(rig, link, name, script, outcome, ours, theirs):
    url = f"http://{SERVER}/x?{script}"
    sample, = rig.clients.bandprobe(link.client, url, *ours)
    told = rig.clients.curl(link.client, url, *theirs)
    rate = "no rate" if "goodput_bps" not in sample else f"with a rate of {mbit(sample['goodput_bps'])}"
    fits = sample["outcome"] == outcome and rate == "no rate" and sample["valid"] == 0
    row(rig, name, outcome, f"{sample['outcome']}, {rate}", "", verdict(told), fits)


def verdict(told):
    end = "success" if told["exitcode"] == 0 else f"exit {told['exitcode']}"
    return f"{end}, {told['http_code']}, {8 * told['speed_download'] / 1e6:.1f} Mbit/s"


def row(rig, case, truth, said, error, curl, fits):
    rig.sheet.row(case, truth, said, error, curl)
    rig.sheet.limit(fits, f"course, {case}: {said} instead of {truth} {error}")


def mbit(rate):
    return f"{rate / 1e6:.2f} Mbit/s"
