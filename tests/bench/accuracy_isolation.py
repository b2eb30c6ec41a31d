"""Isolation: a node, asked by a worker that delivers a backlog meanwhile, and by the same worker while it does not."""

import contextlib
import pathlib
import re
import subprocess
import sys
import time

from accuracy_backlog import fill
from accuracy_link import SERVER, Fault, Link
from accuracy_server import Server
from accuracy_table import median, millis, rank

WAIT_MS = 20
NODES = 20
# Turns of delivering and not delivering, in seconds; what was begun in one may end in the first part of the next.
TURN, SETTLE = 3.0, 0.3
# The shipped limit, and what no delivery reaches.
CASES = [("as shipped, 8 Mbit/s", "8 Mbit/s"), ("as fast as it can", "10 Gbit/s")]
MEDIAN_LIMIT, LAST_LIMIT = 0.0002, 0.001
# `$@`: a worker. It dies with our end of the pipe, whatever kills us; a Ctrl-C is for us alone (`start_new_session`).
WATCH = '"$@" & worker=$!; read -r _; kill -9 $worker; wait $worker 2>/dev/null'
COLUMNS = [("delivery", 20), ("delivered meanwhile", 25), ("transfers", 13), ("wait, median: alone", 19), ("during", 9),
           ("difference", 10), ("wait, p99: alone", 16), ("during", 9), ("difference", 10)]


def measure(rig):
    turns = 3 if rig.quick else 10
    rig.sheet.table("Isolation", f"`bandprobe run` with a backlog, and a node that waits {WAIT_MS} ms before its answer. By "
                    f"turns of {TURN:g} s the database takes what it gets, or lets the worker wait. In ms: `wait_us` less "
                    "what the server really waited, by its own stamps.", COLUMNS)
    for name, limit in CASES[1:] if rig.quick else CASES:
        with contextlib.ExitStack() as stack:
            scene = Scene(rig, limit, turns, stack)
            scene.play(turns)
            report(rig.sheet, name, scene)


class Scene:
    """A node, a database and a worker between them."""

    def __init__(self, rig, limit, turns, stack):
        self.place = rig.directory / f"isolation-{time.monotonic_ns()}"
        (self.place / "data" / "spool").mkdir(parents=True)
        self.limit, self.turns = limit, []
        fill(self.place / "data" / "spool", count=int(60 * turns * TURN))
        self.link = Link(200_000_000)
        stack.callback(self.link.close)
        self.server = Server(self.link.server, rig.directory)
        stack.callback(self.server.close)
        sink = pathlib.Path(__file__).with_name("accuracy_sink.py")
        self.sink = subprocess.Popen(["ip", "netns", "exec", self.link.client, sys.executable, sink],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        stack.callback(end, self.sink)
        port = self.sink.stdout.readline().strip()
        if not port:
            raise Fault("isolation: the database in the rig did not start")
        self.write_config(port)
        with open(self.place / "log", "w", encoding="utf-8") as log:
            self.worker = subprocess.Popen(
                ["ip", "netns", "exec", self.link.client, "sh", "-c", WATCH, "watch", rig.clients.binary, "run", "-c",
                 self.place / "bandprobe.toml"], stdin=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True)
        stack.callback(end, self.worker)

    def write_config(self, port):
        nodes = ",\n".join(f'{{ id = "n{n}", endpoint = "http://{SERVER}/n{n}/", '
                           f'assets = [{{ kind = "image", path = "/x?bytes=1000&wait={WAIT_MS}" }}] }}' for n in range(NODES))
        (self.place / "wait.toml").write_text('# How long does a node wait after a requested delay?\nkind = "image"\n'
                                              'weight = "light"\nevery = "1s"\nparts = [{ name = "full" }]\n')
        (self.place / "token").write_text("a-token-for-the-rig")
        (self.place / "bandprobe.toml").write_text(
            'vantage.id = "rig"\nschedule = { probes = ["./wait.toml"] }\n'
            'limits = { light-transfers = 1 }\narchive = { dir = "data", max-size = "100 GB" }\n'
            f'[[source]]\nkind = "static"\nnodes = [{nodes}]\n'
            f'[influxdb]\nurl = "http://127.0.0.1:{port}"\norg = "o"\nbucket = "b"\ntoken-file = "token"\n'
            f'rate = "{self.limit}"\n')

    def play(self, turns):
        """Alone, during a delivery, alone, …"""
        self.tell("hold")
        time.sleep(2)
        for turn in range(2 * turns):
            delivers = turn % 2 == 1
            self.tell("take" if delivers else "hold")
            began = time.monotonic()
            time.sleep(TURN)
            self.turns.append((began + SETTLE, time.monotonic(), delivers))
        if self.worker.poll() is not None:
            raise Fault(f"isolation: the worker ended: {self.said()}")
        if not any((self.place / "data" / "spool").glob("*.lp")):
            raise Fault("isolation: the backlog was too small: nothing was left to deliver")
        self.tell("hold")
        end(self.worker)
        self.tell("tell")
        self.octets, self.points = (int(word) for word in self.sink.stdout.readline().split())

    def tell(self, word):
        self.sink.stdin.write(f"{word}\n")
        self.sink.stdin.flush()

    def errors(self):
        """By how much `wait_us` is off, in seconds: of transfers that had the worker to themselves, and of the others."""
        samples, stamps = sorted(self.samples()), self.server.log
        # The last one may have been cut off.
        if not len(samples) <= len(stamps) <= len(samples) + 1 or not samples:
            raise Fault(f"isolation: {len(samples)} samples of {len(stamps)} connections: {self.said()}")
        found = {False: [], True: []}
        for (_, outcome, wait), stamp in zip(samples, stamps):
            if outcome != "ok":
                raise Fault(f"isolation: a transfer is {outcome}")
            for began, ended, delivers in self.turns:
                if began <= stamp["asked"] and stamp["answered"] <= ended:
                    found[delivers].append(wait - (stamp["answered"] - stamp["asked"]))
        return found[False], found[True]

    def samples(self):
        """Start, outcome and wait of each transfer of ours, wherever its line is."""
        backlog = (self.place / "backlog").stat().st_ino
        for file in (self.place / "data").rglob("*.lp"):
            if file.stat().st_ino == backlog:
                continue
            for line in file.read_text(encoding="utf-8").splitlines():
                if found := OURS.match(line):
                    yield int(found[3]), found[1], int(found[2] or 0) / 1e6

    def said(self):
        return (self.place / "log").read_text(encoding="utf-8")[-500:]


# Outcome, wait and time of a point of ours.
OURS = re.compile(r"bandprobe_transfer,vantage=rig,\S*outcome=(\w+) (?:.*,wait_us=(\d+)i)?.* (\d+)$")


def report(sheet, name, scene):
    alone, during = scene.errors()
    seconds = sum(ended - began + SETTLE for began, ended, delivers in scene.turns if delivers)
    if not scene.points or not alone or not during:
        raise Fault(f"isolation: {scene.points} points, {len(alone)} and {len(during)} transfers: nothing to compare")
    typical = median(during) - median(alone)
    last = rank(during, 0.99) - rank(alone, 0.99)
    delivered = f"{scene.points} points, {8 * scene.octets / seconds / 1e6:.1f} Mbit/s"
    sheet.row(name, delivered, f"{len(alone)} and {len(during)}", millis(median(alone)), millis(median(during)),
              millis(typical), millis(rank(alone, 0.99)), millis(rank(during, 0.99)), millis(last))
    sheet.limit(abs(typical) < MEDIAN_LIMIT, f"isolation, {name}: the median moves by {millis(typical)} ms")
    sheet.limit(last < LAST_LIMIT, f"isolation, {name}: p99 moves by {millis(last)} ms")


def end(process):
    with contextlib.suppress(OSError):
        process.stdin.close()
    process.wait()
