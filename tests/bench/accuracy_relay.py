"""A path with a delay: two namespaces whose only link is a process, which holds every packet for a scripted time.

Each end is a TUN device that the rig opens in its namespace and hands over as a file descriptor. The process reads packets
at one end, keeps them for half of the round trip, at a given rate one after the other besides, and writes them at the
other. Nothing is lost or put in another order. With IFF_VNET_HDR the kernel hands over what it would have given to a
network card that segments (up to 64 KiB of 1448 octets each), so that 1 Gbit/s is some 2,000 packets a second, which
Python can carry, while TCP at both ends counts in ordinary segments.

A packet is written when the select(2) before it returned, at a real-time priority, some 0.05 ms late; `report` says how
late that was. What a table takes as truth does not rest on it: phases are read off the kernel's own stamps at the
client's device (accuracy_wire), and rates off the acknowledgements.
"""

import collections
import contextlib
import fcntl
import json
import os
import pathlib
import select
import struct
import subprocess
import sys
import time

from accuracy_link import CLIENT, SERVER, Fault, Pair, inside, ip
from accuracy_server import in_front
from accuracy_table import rank

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
# Checksums and TCP segments of IPv4 are left to the receiver of the packets.
OFFLOADS = 0x01 | 0x02
# struct virtio_net_hdr: flags, kind and size of the segments and where the checksum belongs.
HEADER = struct.Struct("<BBHHHH")
ETHERNET = 14


class Path(Pair):
    """Two namespaces with `delay` seconds between them each way, and at most `rate` bit/s of frames if that is given."""

    def __init__(self, delay, rate=0):
        super().__init__()
        self.delay, self.rate, self.process = delay, rate, None
        ends = []
        try:
            for name, device, address in ((self.server, "far", SERVER), (self.client, "near", CLIENT)):
                ends.append(inside(name, lambda device=device: tun(device)))
                ip("-n", name, "link", "set", device, "txqueuelen", "10000")
                ip("-n", name, "address", "add", f"{address}/30", "dev", device)
                ip("-n", name, "link", "set", device, "up")
            words = [sys.executable, pathlib.Path(__file__), *ends, delay, rate]
            self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            pass_fds=ends, text=True)
        except BaseException:
            self.close()
            raise
        finally:
            for end in ends:
                os.close(end)

    def report(self):
        """Packets carried since the last report, and how late they were written: p50, p99 and worst, in seconds."""
        with contextlib.suppress(OSError):
            print("report", file=self.process.stdin, flush=True)
            if line := self.process.stdout.readline():
                return json.loads(line)
        raise Fault(f"the relay ended with {self.process.wait()}")

    def close(self):
        if self.process:
            # The end of its input is its end, also when the rig is killed.
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
        super().close()


def tun(name):
    """A TUN device in this thread's namespace. It lives until the last descriptor of it is closed."""
    try:
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise Fault(f"{error}: modprobe tun") from error
    try:
        fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(end, TUNSETOFFLOAD, OFFLOADS)
    except BaseException:
        os.close(end)
        raise
    return end


class Way:
    """Packets from one end to the other, each with the time when it is due."""

    def __init__(self, source, sink, delay, rate):
        self.source, self.sink, self.delay, self.rate = source, sink, delay, rate
        self.waiting, self.free, self.late = collections.deque(), 0.0, []

    def take(self):
        """Everything that waits at the source."""
        for _ in range(MOST_AT_ONCE):
            try:
                packet = os.read(self.source, LARGEST)
            except BlockingIOError:
                return
            now = time.monotonic()
            if self.rate:
                # The last bit leaves once all before it did: the time is counted, not waited for, so no lateness adds up.
                now = self.free = max(self.free, now) + 8 * frames(packet) / self.rate
            self.waiting.append((now + self.delay, packet))

    def give(self):
        """Everything that is due."""
        while self.waiting and (left := self.waiting[0][0] - time.monotonic()) <= 0:
            self.late.append(-left)
            os.write(self.sink, self.waiting.popleft()[1])


def frames(packet):
    """Octets of the Ethernet frames that a packet would be on a wire."""
    _, segmented, _, size, _, _ = HEADER.unpack_from(packet)
    octets = len(packet) - HEADER.size
    if not segmented:
        return octets + ETHERNET
    head = HEADER.size + 4 * (packet[HEADER.size] & 15)
    heads = head - HEADER.size + 4 * (packet[head + 12] >> 4)
    segments = -(-(octets - heads) // size)
    return octets - heads + segments * (heads + ETHERNET)


def carry(ways):
    """Carries packets until the end of stdin; each line there asks for a report."""
    in_front()
    while True:
        heads = [way.waiting[0][0] for way in ways if way.waiting]
        left = max(0.0, min(heads) - time.monotonic()) if heads else None
        ready, _, _ = select.select([0, *(way.source for way in ways)], [], [], left)
        for way in ways:
            way.give()
            if way.source in ready:
                way.take()
        if 0 in ready:
            if not os.read(0, 4096):
                return
            late = [value for way in ways for value in way.late]
            print(json.dumps({"packets": len(late), "p50": rank(late, 0.5), "p99": rank(late, 0.99),
                              "worst": max(late, default=None)}), flush=True)
            for way in ways:
                way.late.clear()


# A packet of 64 KiB and its header.
LARGEST = (64 << 10) + HEADER.size
# Before it is looked again at what is due.
MOST_AT_ONCE = 16


def main():
    far, near = int(sys.argv[1]), int(sys.argv[2])
    delay, rate = float(sys.argv[3]), float(sys.argv[4])
    # Upwards there are requests and acknowledgements only: they are delayed and not shaped.
    carry([Way(far, near, delay, rate), Way(near, far, delay, 0)])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
