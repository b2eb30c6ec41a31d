"""The database of the table Isolation, a process of its own: takes all it gets, or lets its client wait.

Says its port, then does as stdin tells: `take`, `hold`, or `tell` how many octets came and how many points are in them.
Ends with its stdin.
"""

import gzip
import socket
import sys
import threading


class Sink:
    """Answers every request with 204 while it takes."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.takes, self.bodies = threading.Event(), []

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as reader:
            while head := list(iter(reader.readline, b"\r\n")):
                if b"" in head:
                    return
                length = [int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length:")]
                body = reader.read(sum(length))
                self.takes.wait()
                if body:
                    self.bodies.append(body)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def main():
    sink = Sink()
    threading.Thread(target=sink.accept, daemon=True).start()
    print(sink.listener.getsockname()[1], flush=True)
    for word in sys.stdin:
        if word == "take\n":
            sink.takes.set()
        elif word == "hold\n":
            sink.takes.clear()
        else:
            bodies = sink.bodies[:]
            print(sum(map(len, bodies)), sum(gzip.decompress(body).count(b"\n") for body in bodies), flush=True)


if __name__ == "__main__":
    main()
