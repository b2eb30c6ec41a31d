"""Links whose rate is known: two network namespaces, a veth pair between them and a token bucket on the server's end.

Nothing outside of the namespaces is touched, and all of them carry the same addresses (RFC 2544's), so that a
server's certificate fits everywhere. A token bucket counts whole frames; frames are 1514 octets, of which TCP with
timestamps carries 1448. Segmentation offload would make frames of 64 KiB of which the bucket knows nothing.
"""

import concurrent.futures
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

SERVER, CLIENT = "198.18.0.1", "198.18.0.2"
FRAME, PAYLOAD = 1514, 1448
PREFIX = "bandprobe-accuracy"
CLONE_NEWNET = 0x40000000


class Fault(Exception):
    """Something is missing, or did not work."""


class Pair:
    """Two namespaces without a link yet. What is made in them goes with them."""

    made = 0
    lock = threading.Lock()

    def __init__(self):
        with Pair.lock:
            Pair.made += 1
            number = Pair.made
        self.server, self.client = (f"{PREFIX}-{os.getpid()}-{number}-{end}" for end in ("server", "client"))
        for name in (self.server, self.client):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            # Reno only reacts to losses, of which there are none, so it keeps the link busy up to the receiver's window.
            # BBR would drain the queue now and then, and the link would idle.
            settle(name, "ipv4/tcp_congestion_control", "reno")
            settle(name, "ipv4/tcp_no_metrics_save", "1")
            settle(name, "ipv6/conf/all/disable_ipv6", "1")

    def close(self):
        for name in (self.server, self.client):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


class Link(Pair):
    """A veth pair that passes `rate` bit/s from server to client, and as much as it can the other way."""

    def __init__(self, rate, burst=None):
        super().__init__()
        self.rate = rate
        # The longer tokens are kept for a timer that comes late, the surer the rate; but what an idle link has kept
        # comes as a burst. So every transfer starts with a header of that size, and the body finds the bucket empty.
        self.burst = burst or min(max(2 * FRAME, round(rate / 8 * SLACK)), LARGEST_BURST)
        ip("link", "add", "near", "netns", self.client, "type", "veth", "peer", "name", "far", "netns", self.server)
        for name, device, address in ((self.server, "far", SERVER), (self.client, "near", CLIENT)):
            ip("-n", name, "link", "set", device, "gso_max_segs", "1", "txqueuelen", "1000")
            ip("-n", name, "address", "add", f"{address}/30", "dev", device)
            ip("-n", name, "link", "set", device, "up")
        self.shape("add", rate)
        # Nobody has to ask for an address while the clock runs.
        for name, peer, device, address in ((self.server, self.client, "far", CLIENT),
                                            (self.client, self.server, "near", SERVER)):
            other = "near" if device == "far" else "far"
            mac = hardware_address(peer, other)
            ip("-n", name, "neighbour", "replace", address, "lladdr", mac, "nud", "permanent", "dev", device)

    def shape(self, verb, rate):
        # The queue holds whatever the receiver's window lets come: a loss would make the client wait, not the link.
        run("tc", "-n", self.server, "qdisc", verb, "dev", "far", "root", "tbf", "rate", f"{rate}bit",
            "burst", str(self.burst), "limit", str(QUEUE))

    def change(self, rate):
        """Sets another rate; returns when it held at the latest."""
        self.shape("change", rate)
        return time.monotonic()

    def frames(self):
        """Octets and frames that the bucket has passed, and those that it dropped."""
        words = run("tc", "-s", "-n", self.server, "qdisc", "show", "dev", "far").split()
        at = words.index("Sent")
        return int(words[at + 1]), int(words[at + 3]), int(words[words.index("(dropped") + 1].rstrip(","))


SLACK = 0.01
LARGEST_BURST = 40_000
QUEUE = 64 << 20


def payload_rate(rate):
    """TCP payload in bit/s that a bucket of `rate` passes."""
    return rate * PAYLOAD / FRAME


def inside(name, function):
    """Calls a function in a namespace: its sockets and devices stay there."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(entered, name, function).result()


def entered(name, function):
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"{NAMESPACES}/{name}", os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise Fault(f"cannot enter the namespace {name}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)
    return function()


def settle(name, key, value):
    """Sets a sysctl of a namespace."""
    def write():
        with contextlib.suppress(FileNotFoundError):
            pathlib.Path("/proc/sys/net", key).write_text(value)
    inside(name, write)


def hardware_address(name, device):
    words = ip("-n", name, "link", "show", device).split()
    return words[words.index("link/ether") + 1]


def ip(*words):
    return run("ip", *words)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Fault(f"`{' '.join(command)}`: {done.stderr.strip()}")
    return done.stdout


def sweep(whose):
    """Ends what runs in the namespaces of those runs of this rig that `whose` tells by their pid; removes these, and files."""
    for name in os.listdir(NAMESPACES) if os.path.isdir(NAMESPACES) else []:
        if whose(owner(name)):
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
            for pid in set(map(int, pids.split())) - {os.getpid()}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], check=False)
    for directory in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
        if whose(owner(directory.name)):
            shutil.rmtree(directory, ignore_errors=True)


def owner(name):
    """The pid in a name that this rig made, 0 in others."""
    words = name.removeprefix(PREFIX).split("-")
    return int(words[1]) if name.startswith(PREFIX) and len(words) > 1 and words[1].isdigit() else 0


def abandoned(pid):
    """A run that was killed could not clean up."""
    return pid != 0 and not os.path.exists(f"/proc/{pid}")


NAMESPACES = "/run/netns"
