"""What stands between the worker and the database: as bad as the network and the server can be."""

import contextlib
import gzip
import http.client
import json
import re
import socket
import struct
import threading
import time


class Proxy:
    """A proxy for the database that behaves as its mode says: pass, refuse, 503, 429, hang, lost."""

    def __init__(self, database):
        self.database, self.lock = database, threading.Lock()
        # Bound and never listening, it keeps the port while the other one refuses.
        self.holder = bound(0)
        self.port = self.holder.getsockname()[1]
        self.listener, self.connections = None, set()
        self.mode, self.met, self.changed = "pass", 0, threading.Event()
        self.numbers, self.times = set(), []
        self.stored_since, self.last_stored = None, time.monotonic()
        self.listen()

    def listen(self):
        self.listener = bound(self.port)
        self.listener.listen(16)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def behave(self, mode):
        was, self.mode, self.met = self.mode, mode, 0
        self.changed.set()
        self.changed = threading.Event()
        if mode == "refuse":
            self.silence()
            self.met = 1  # nobody can see who is refused
        elif was == "refuse":
            self.listen()

    def silence(self):
        # A thread in accept() keeps a closed socket listening until it is shut down.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                reset(connection)
            self.connections.clear()

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection.makefile("rb") as reader:
            while self.answer(connection, reader):
                pass
        reset(connection)
        with self.lock:
            self.connections.discard(connection)

    def answer(self, connection, reader):
        head = list(iter(reader.readline, b"\r\n")) if reader.peek(1) else []
        if not head or b"" in head:
            return False
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in head[1:])
        body = reader.read(int(headers.get("content-length", 0)))
        mode, changed = self.mode, self.changed
        self.met += 1
        if mode in ("503", "429"):
            code = "unavailable" if mode == "503" else "too many requests"
            text = json.dumps({"code": code, "message": f"{code}: as the test wants"})
            connection.sendall(f"HTTP/1.1 {mode} X\r\nretry-after: 1\r\ncontent-type: application/json\r\n"
                               f"content-length: {len(text)}\r\n\r\n{text}".encode())
            return True
        if mode == "hang":
            changed.wait()
            return False
        status, text = self.forward(head[0].decode(), {name: headers[name] for name in headers if name != "host"}, body)
        if mode == "lost":
            connection.sendall(b"HTTP/1.1 204 No Con")
            return False
        length = "" if status == 204 else f"content-length: {len(text)}\r\n"
        connection.sendall(f"HTTP/1.1 {status} X\r\n{length}\r\n".encode() + text)
        if status == 204 and "/write" in head[0].decode():
            self.note(gzip.decompress(body))
        return True

    def forward(self, request, headers, body):
        method, path, _ = request.split()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.database.port, timeout=60)) as server:
            try:
                server.request(method, path, body, headers)
                answer = server.getresponse()
                return answer.status, answer.read()
            except http.client.HTTPException as error:
                raise OSError("cut off") from error

    def note(self, lines):
        """The points that the worker got a success for, to time the case; the truth is read from the database."""
        now = time.monotonic()
        numbers = {int(number) for number in re.findall(rb'asset_id="(\d+)"', lines)}
        self.numbers |= numbers
        if not numbers:
            return  # the worker's own points
        self.times.append((now, numbers))
        self.last_stored = now
        if self.stored_since is None:
            self.stored_since = now

    def last_news(self, due):
        """When the last of these numbers was stored for the first time."""
        left, last = set(due), 0.0
        for when, numbers in self.times:
            if left & numbers:
                left -= numbers
                last = when
        return last

    def close(self):
        self.changed.set()
        if self.mode != "refuse":
            self.silence()
        self.holder.close()


def bound(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def reset(connection):
    """Ends a connection at once, so that its other end sees it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)  # wakes its reader
    with contextlib.suppress(OSError):
        connection.close()
