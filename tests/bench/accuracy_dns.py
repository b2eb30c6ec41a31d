"""A name server that takes its time: one address for every name, and no IPv6 (RFC 1035, RFC 2308)."""

import contextlib
import socket
import struct
import threading
import time

from accuracy_link import SERVER, inside
from accuracy_server import in_front, sleep_until

NAME = "node.test"
A, SOA, IN = 1, 6, 1
# An answer to a question that was asked with recursion desired, and without recursion refused.
RESPONSE = 0x8180
# The name that the question had, at offset 12 (RFC 1035, 4.1.4).
SAME = b"\xc0\x0c"


class Resolver:
    """Answers questions by UDP on port 53 of a namespace, each `delay` seconds after it came."""

    def __init__(self, namespace, directory):
        self.delay = 0.0
        self.socket = inside(namespace, listener)
        # What a client of it is given in place of its /etc/resolv.conf.
        self.config = directory / f"{namespace}.resolv.conf"
        self.config.write_text(f"nameserver {SERVER}\n")
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        in_front()
        with contextlib.suppress(OSError):
            while True:
                question, peer = self.socket.recvfrom(512)
                if not question:
                    return
                due = time.monotonic() + self.delay
                threading.Thread(target=self.answer, args=(question, peer, due), daemon=True).start()

    def answer(self, question, peer, due):
        in_front()
        answer = reply(question)
        sleep_until(due)
        with contextlib.suppress(OSError):
            self.socket.sendto(answer, peer)

    def enter(self):
        """Words before a command that runs it with this resolver: by a mount in the namespace that ip-netns(8) gives it."""
        return ["sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(self.config)]

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def reply(question):
    end = question.index(b"\0", 12) + 5
    kind, = struct.unpack_from("!H", question, end - 4)
    if kind == A:
        answers, authorities = 1, 0
        record = SAME + struct.pack("!HHIH", A, IN, 60, 4) + socket.inet_aton(SERVER)
    else:
        answers, authorities = 0, 1
        numbers = SAME + SAME + struct.pack("!5I", 1, 3600, 600, 86400, 60)
        record = SAME + struct.pack("!HHIH", SOA, IN, 60, len(numbers)) + numbers
    return question[:2] + struct.pack("!HHHHH", RESPONSE, 1, answers, authorities, 0) + question[12:end] + record


def listener():
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.bind((SERVER, 53))
    return held
