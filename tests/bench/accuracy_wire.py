"""What crossed the client's network device, and when: the truth of phases.

A packet socket, as tcpdump has, sees every packet of a device with the kernel's own stamp (SO_TIMESTAMPNS): of what goes
out, when it is handed to the device; of what comes in, when the device hands it over. So whatever makes a server, a
resolver or a path late is part of the truth, and what is left is the client's: its own work, and the time until it ran.

The boundaries of a transfer (see the phases in docs) and the packets that mark them:

    dns      first question out           → last answer in
    connect  SYN out                      → SYN-ACK in
    tls      ClientHello out              → last packet in before the client's Finished goes out
    wait     last packet of the request out → first packet of the final response head in
    receive  that packet                  → last packet of the body in

The client's own work in `tls` (keys, certificates, Finished) comes after what is counted here, so it shows as its error.
TLS 1.3 tickets come in while the client waits. They left before the head did, so the head is the first packet that arrives
at or after the server's stamp of it plus the path's delay, which is never shorter than scripted.
"""

import collections
import contextlib
import socket
import struct
import time

from accuracy_link import inside

ETH_P_ALL, PACKET_OUTGOING = 3, 4
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
BUFFER = 32 << 20
TCP, UDP = 6, 17
SYN = 0x02

# `at` in seconds of the monotonic clock; `port` is the client's.
Packet = collections.namedtuple("Packet", "at out protocol port flags payload")


class Tap:
    """All packets of a device, kept by the kernel until they are taken."""

    def __init__(self, namespace, device):
        self.socket = inside(namespace, lambda: tapped(device))

    def take(self):
        """The packets since the last time, in order."""
        # The kernel stamps packets by the wall clock, everyone else here counts by the monotonic one.
        apart = time.time_ns() - time.monotonic_ns()
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, more, _, source = self.socket.recvmsg(HEADS, 64)
                stamp = next(value for level, kind, value in more if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
                seconds, nanoseconds = struct.unpack("qq", stamp)
                at = (seconds * 1_000_000_000 + nanoseconds - apart) / 1e9
                if data[0] >> 4 == 4:
                    packets.append(parsed(at, source[2] == PACKET_OUTGOING, data))
        return sorted(packets)

    def close(self):
        self.socket.close()


def tapped(device):
    held = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
    held.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    held.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    held.bind((device, ETH_P_ALL))
    return held


def parsed(at, out, data):
    """An IPv4 packet without options or fragments, by RFC 791 and RFC 9293."""
    length, protocol = struct.unpack_from("!H", data, 2)[0], data[9]
    ours, theirs = struct.unpack_from("!HH", data, 20)
    heads, flags = (20 + 4 * (data[32] >> 4), data[33]) if protocol == TCP else (28, 0)
    return Packet(at, out, protocol, ours if out else theirs, flags, length - heads)


def transfers(packets):
    """The packets of each connection, in their order: those of its name's resolution, and its own."""
    found, asked, latest = [], [], {}
    for packet in packets:
        if packet.protocol == UDP:
            asked.append(packet)
            continue
        # A second SYN from a port is the first one again, unless that was answered: ports are used again.
        known = latest.get(packet.port)
        if packet.out and packet.flags & SYN and (known is None or any(not one.out for one in known)):
            known = latest[packet.port] = []
            found.append((asked, known))
            asked = []
        if known is not None:
            known.append(packet)
    return found


def phases(resolution, connection, stamps, delay):
    """How long each phase took on the wire, in seconds."""
    syn = next(packet for packet in connection if packet.out)
    accepted = next(packet for packet in connection if not packet.out and packet.flags & SYN)
    hello, finished = [packet for packet in connection if packet.out and packet.payload][:2]
    flight = [packet for packet in connection if not packet.out and packet.payload and packet.at < finished.at][-1]
    head, body = (next(packet for packet in connection if not packet.out and packet.payload and packet.at >= left + delay)
                  for left in (stamps["answered"], stamps["body"]))
    request = [packet for packet in connection if packet.out and packet.payload and packet.at < head.at][-1]
    questions, answers = ([packet.at for packet in resolution if packet.out is out] for out in (True, False))
    return {"dns": max(answers) - min(questions), "connect": accepted.at - syn.at, "tls": flight.at - hello.at,
            "wait": head.at - request.at, "receive": body.at - head.at, "total": body.at - min(questions)}


# IPv4 and TCP with all of its options.
HEADS = 80
