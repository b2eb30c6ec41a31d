"""A server that does what the query of the URL says, when it says so, and notes when it really did.

    bytes=N      length of the body (default 0)
    pad=N        N octets of an extra header, which use up what a token bucket has saved
    wait=MS      before the status line
    early=1      103 Early Hints first, before the wait
    gap=MS       between head and body
    pause=AT:MS  all before this offset is delivered, then silence
    step=MS      calls `on_step` this long after the body began
    cut=N        ends the connection after N octets of the body
    answer=      range, wrong-range (206 of other bytes), whole (200 to a range), html

Before its first TLS octet it waits `hello` seconds, which no URL can say.
"""

import contextlib
import fcntl
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

from accuracy_link import SERVER, Fault, inside

CHUNK = bytes(64 << 10)
SIOCOUTQ = 0x5411
# `tcpi_bytes_acked` of struct tcp_info, linux/tcp.h: after eight octets, 24 words and two rates.
BYTES_ACKED = 8 + 24 * 4 + 2 * 8


class Server:
    """Listens on port 80, and on 443 with TLS, in a namespace. `log` has one dict of stamps a connection, in order."""

    def __init__(self, namespace, directory):
        self.hello, self.on_step, self.log, self.open = 0.0, None, [], set()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "leaf.pem", directory / "leaf.key")
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.listeners = [inside(namespace, lambda port=port: listener(port)) for port in (80, 443)]
        for held, secure in zip(self.listeners, (False, True)):
            threading.Thread(target=self.accept, args=(held, secure), daemon=True).start()

    def accept(self, held, secure):
        in_front()
        while True:
            try:
                connection, peer = held.accept()
            except OSError:
                return
            stamps = {"port": peer[1], "accepted": time.monotonic()}
            self.log.append(stamps)
            threading.Thread(target=self.serve, args=(connection, secure, stamps), daemon=True).start()

    def serve(self, connection, secure, stamps):
        in_front()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open.add(connection)
        with contextlib.suppress(OSError, ValueError, KeyError):
            if secure:
                connection = self.handshake(connection, stamps)
            with connection:
                while self.answer(connection, stamps):
                    pass
        connection.close()
        self.open.discard(connection)

    def handshake(self, connection, stamps):
        connection.recv(1, socket.MSG_PEEK)
        stamps["hello"] = time.monotonic()
        sleep_until(stamps["hello"] + self.hello)
        stamps["released"] = time.monotonic()
        secured = self.context.wrap_socket(connection, server_side=True)
        self.open.discard(connection)
        self.open.add(secured)
        return secured

    def answer(self, connection, stamps):
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(16384)
            if not more:
                return False
            head += more
        stamps["asked"] = time.monotonic()
        path = head.split(b" ", 2)[1].decode()
        script = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
        if "early" in script:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n")
        sleep_until(stamps["asked"] + float(script.get("wait", 0)) / 1e3)
        stamps["answered"] = time.monotonic()
        connection.sendall(response(script))
        if "gap" in script:
            sleep_until(stamps["answered"] + float(script["gap"]) / 1e3)
        stamps["body"] = time.monotonic()
        if "acks" in script:
            acks = stamps["acks"] = []
            threading.Thread(target=watch, args=(connection, acks), daemon=True).start()
        if "step" in script:
            threading.Thread(target=self.step, args=(float(script["step"]) / 1e3, stamps), daemon=True).start()
        self.send(connection, script, stamps)
        stamps["sent"] = time.monotonic()
        return "cut" not in script

    def send(self, connection, script, stamps):
        """The body, with its pause."""
        sent, end = 0, int(script.get("cut", script.get("bytes", 0)))
        at, pause = (int(part) for part in script.get("pause", "-1:0").split(":"))
        for stop in [at, end] if 0 <= at < end else [end]:
            while sent < stop:
                size = min(len(CHUNK), stop - sent)
                connection.sendall(CHUNK[:size])
                sent += size
            if stop == at:
                stamps["silent"] = drain(connection)
                sleep_until(stamps["silent"] + pause / 1e3)
                stamps["resumed"] = time.monotonic()

    def step(self, delay, stamps):
        in_front()
        sleep_until(stamps["body"] + delay)
        stamps["stepped"] = self.on_step()

    def close(self):
        for held in [*self.listeners, *self.open]:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            held.close()


def response(script):
    size, answer = int(script.get("bytes", 0)), script.get("answer", "plain")
    status, kind, more = "200 OK", "application/octet-stream", ""
    if answer == "range":
        status, more = "206 Partial Content", f"content-range: bytes 0-{size - 1}/{4 * size}\r\n"
    if answer == "wrong-range":
        status, more = "206 Partial Content", f"content-range: bytes {size}-{2 * size - 1}/{4 * size}\r\n"
    if answer == "html":
        kind = "text/html"
    pad = f"x-pad: {'.' * int(script['pad'])}\r\n" if "pad" in script else ""
    return (f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\n{more}{pad}\r\n").encode()


def drain(connection):
    """Waits until the other end has acknowledged all; returns when it had."""
    left = bytearray(4)
    while True:
        fcntl.ioctl(connection.fileno(), SIOCOUTQ, left)
        if left == bytes(4):
            return time.monotonic()
        time.sleep(0.0002)


def watch(connection, acks):
    """What the client's kernel has acknowledged, and when: the link's own pace, whatever the client makes of it."""
    in_front()
    with contextlib.suppress(OSError, ValueError):
        while True:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            acks.append((time.monotonic(), struct.unpack_from("Q", info, BYTES_ACKED)[0]))
            time.sleep(0.002)


def pace(acks):
    """Payload in bit/s between the first and the last acknowledgement that moved."""
    moved = [now for before, now in zip(acks, acks[1:]) if now[1] > before[1]]
    if len(moved) < 3:
        return None
    # The very last one may be of a short frame, and seen late: the sender sleeps between two looks.
    (first, low), (last, high) = moved[0], moved[-2]
    return 8 * (high - low) / (last - first) if last > first else None


def in_front():
    """This thread before all others, where the system permits: what is scripted should happen when it is due."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def sleep_until(due):
    while (left := due - time.monotonic()) > 0:
        time.sleep(left)


def listener(port):
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((SERVER, port))
    held.listen(64)
    return held


def make_authority(directory):
    """An authority of two days, and a certificate of it for the server's address."""
    (directory / "leaf.ext").write_text(f"subjectAltName=IP:{SERVER},DNS:node.test\nbasicConstraints=CA:FALSE\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for command in [
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bandprobe rig CA"],
        ["req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={SERVER}"],
        ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
         "-extfile", "leaf.ext", "-out", "leaf.pem"],
    ]:
        made = subprocess.run(["openssl", *command], cwd=directory, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise Fault(f"openssl {command[0]} failed: {made.stderr.strip()}")
