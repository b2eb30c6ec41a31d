"""CPU: a prober that gets too little CPU time flags its samples, and one that gets enough does not."""

import contextlib
import os
import pathlib
import signal
import time

from accuracy_link import PREFIX, SERVER, Fault, Link, payload_rate
from accuracy_server import Server
from accuracy_table import median, percent, rank

MIB = 1 << 20
# What the body is of the TCP payload (RFC 8446, 5.2).
SHARES = {"plain": 1, "TLS": 16384 / 16406}
PERIOD_US = 100_000
# Of a core.
TENTH, HALF, ALL = 0.1, 0.5, None
NAMES = {TENTH: "10 % of a core", HALF: "50 % of a core", ALL: "all it asks for"}
# A tenth of a core keeps up with 200 Mbit/s now and then. The link of 500 takes much of a small machine itself, so what is
# flagged there without a limit on the prober is shown, and not held against it.
HARD = [(500, 20 * MIB, over) for over in SHARES]
FAST = [(200, 5 * MIB, over) for over in SHARES]
SHORT = [(rate, size, over) for rate in (50, 200) for size in (MIB // 4, MIB) for over in SHARES]
RAISED, SILENT = 0.95, 0.01
COLUMNS = [("CPU", 15), ("Mbit/s", 6), ("body", 7), ("over", 5), ("cpu_bound", 9), ("rate, median error", 18),
           ("busy or waiting, median", 23), ("waited, median", 14), ("waited, p99", 11), ("read late, median", 17),
           ("other work", 10)]


def measure(rig):
    count = 20 if rig.quick else 100
    rig.sheet.table("CPU", f"Of {count} transfers a row, those with `cpu_bound`, and what is behind it: how long the "
                    "measuring thread ran or waited for a CPU, how long it waited, both during `receive`, and after how "
                    "long nine tenths of the bytes were read. `other work` is the share of all CPUs in use just "
                    "before. With other work running, no prober is idle.", COLUMNS)
    cells = [(ALL, *cell) for cell in (SHORT[-2:] if rig.quick else SHORT)]
    cells += [(ALL, *cell) for cell in FAST] + [(quota, *cell) for quota in (ALL, HALF, TENTH) for cell in HARD]
    idle, most = [], 0
    with contextlib.closing(Quota()) as quota:
        for allowed, rate, size, over in cells:
            others = busy()
            quota.allow(allowed)
            samples = transfers(rig, quota, rate, size, over, count)
            bound = [sample for sample in samples if "cpu_bound" in sample.get("flags", "").split(",")]
            report(rig.sheet, allowed, rate, size, over, samples, len(bound), others)
            if allowed == ALL and (rate, size, over) not in HARD:
                idle += [sample in bound for sample in samples]
                most = max(most, others)
            if allowed == TENTH:
                rig.sheet.limit(len(bound) >= RAISED * count,
                                f"cpu, {NAMES[allowed]}, {over}: {len(bound)} of {count} are cpu_bound")
    # With few transfers, a single one exceeds the share.
    rig.sheet.limit(sum(idle) <= max(1, SILENT * len(idle)),
                    f"cpu, {NAMES[ALL]}: {sum(idle)} of {len(idle)} are cpu_bound, "
                    f"with other work of {100 * most:.0f} %")


def transfers(rig, quota, rate, size, over, count):
    link = Link(rate * 1_000_000)
    server = Server(link.server, rig.directory)
    url = f"{'http' if over == 'plain' else 'https'}://{SERVER}/x?bytes={size}&pad={link.burst}"
    try:
        samples = rig.clients.bandprobe(link.client, url, "--repeat", str(count), enter=quota.enter)
    finally:
        quota.end()
        server.close()
        link.close()
    wrong = {sample["outcome"] for sample in samples} - {"ok"}
    if wrong or len(samples) != count or not all("run_delay_us" in sample for sample in samples):
        raise Fault(f"cpu: {len(samples)} transfers of {count}, outcomes {wrong}, or a kernel without schedstat")
    return samples


def report(sheet, allowed, rate, size, over, samples, bound, others):
    def column(key):
        return [sample.get(key, 0) for sample in samples]

    truth = payload_rate(rate * 1e6) * SHARES[over]
    errors = [sample["goodput_bps"] / truth - 1 for sample in samples if "goodput_bps" in sample]
    waits = column("run_delay_us")
    body = f"{size // MIB} MiB" if size >= MIB else f"{size >> 10} KiB"
    sheet.row(NAMES[allowed], rate, body, over, f"{bound} of {len(samples)}", percent(median(errors)),
              f"{100 * median(column('cpu_share')):.0f} %", millis(median(waits)), millis(rank(waits, 0.99)),
              millis(median(column("rx_lag_p90_us"))), f"{100 * others:.0f} %")


def millis(micros):
    return f"{micros / 1e3:.2f} ms"


def busy():
    """The share of all CPUs that is busy while nothing of ours runs."""
    def spent():
        with open("/proc/stat", encoding="ascii") as stat:
            times = [int(word) for word in stat.readline().split()[1:9]]
        return sum(times), times[3] + times[4]

    (before, idle), _ = spent(), time.sleep(0.3)
    after, still = spent()
    return 1 - (still - idle) / max(1, after - before)


class Quota:
    """A control group whose processes may have so much of a core, of whichever version has the controller."""

    def __init__(self):
        hierarchy, self.is_unified = controller()
        for name in os.listdir(hierarchy):
            owner = name.removeprefix(f"{PREFIX}-")
            if name != owner and not os.path.exists(f"/proc/{owner}"):
                Quota.remove(hierarchy / name)
        self.place = hierarchy / f"{PREFIX}-{os.getpid()}"
        try:
            self.place.mkdir(exist_ok=True)
        except OSError as error:
            raise Fault(f"cannot limit the CPU: {error}; mount the cpu controller writable") from error
        # Seen from a namespace, where /sys is another one.
        door = f"/proc/{os.getpid()}/root{self.place}/cgroup.procs"
        self.enter = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', door]

    def allow(self, share):
        if self.is_unified:
            most = "max" if share is None else round(share * PERIOD_US)
            self.write("cpu.max", f"{most} {PERIOD_US}")
            return
        self.write("cpu.cfs_period_us", PERIOD_US)
        self.write("cpu.cfs_quota_us", -1 if share is None else round(share * PERIOD_US))

    def write(self, name, value):
        try:
            (self.place / name).write_text(str(value))
        except OSError as error:
            raise Fault(f"cannot limit the CPU: {self.place / name}: {error}") from error

    def end(self):
        """Ends what still runs in it: a client, when the rig is stopped."""
        with contextlib.suppress(OSError):
            clear(self.place)

    def close(self):
        Quota.remove(self.place)

    @staticmethod
    def remove(place):
        clear(place)
        place.rmdir()


def clear(place):
    """Ends all processes of a group, and waits until they have gone."""
    while there := (place / "cgroup.procs").read_text().split():
        for process in there:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        time.sleep(0.01)


def controller():
    """Where groups with a limit on CPU are made, and whether that is by version 2."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        mounted = [line.split() for line in mounts]
    for _, place, kind, options, *_ in mounted:
        if kind == "cgroup" and "cpu" in options.split(","):
            return pathlib.Path(place), False
    for _, place, kind, *_ in mounted:
        root = pathlib.Path(place)
        if kind == "cgroup2" and "cpu" in (root / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (root / "cgroup.subtree_control").write_text("+cpu")
            if "cpu" in (root / "cgroup.subtree_control").read_text().split():
                return root, True
    raise Fault("cannot limit the CPU: no control group (v1 cpu, or v2 with cpu in cgroup.subtree_control) can be used")
