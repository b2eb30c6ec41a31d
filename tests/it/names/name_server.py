#!/usr/bin/env python3
"""name_server.py FILE: name servers and a web server on the addresses of this network namespace, by the JSON in FILE.

    {"port": 18080, "servers": [{"at": "127.0.0.53", "names": {"node.lab": ["127.0.0.2", "::1"]}, …}]}

A server knows its `names`: addresses of both families, or "=other" for an alias. Further keys of a server:
    delay     milliseconds before each answer
    fails     servfail, refused, nxdomain, formerr, notimp or silent: the answer to every question
    a, aaaa   the same, for questions of one family alone
    silent    the first letters of names that get no answer
    edns      formerr or silent: the answer to questions with an OPT record
    short     true: answers in datagrams are cut (TC), so that TCP has to be asked

The web server listens on every address, or on that of the key `web`. It serves a range of an image, takes what is posted,
and answers a query as an InfluxDB without points does.
Prints "ready" once everything listens.
"""
import ipaddress
import json
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CODES = {"formerr": 1, "servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5}
KINDS = {1: "a", 28: "aaaa"}


def question(message):
    """The name, the type and the end of the first question."""
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += message[at] + 1
    return ".".join(labels).lower(), int.from_bytes(message[at + 1 : at + 3], "big"), at + 5


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, data):
    return owner + kind.to_bytes(2, "big") + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2, "big") + data


def answer(server, message, is_datagram):
    """The reply to a message; None is silence."""
    name, kind, end = question(message)
    has_edns = message[11] > 0
    fails = server.get("edns") if has_edns else None
    fails = fails or server.get(KINDS.get(kind, "")) or server.get("fails")
    if fails == "silent" or ("silent" in server and name.startswith(server["silent"])):
        return None
    records, code = [], CODES.get(fails, 0)
    if not fails:
        names, owner = server.get("names", {}), b"\xc0\x0c"
        while isinstance(names.get(name), str):
            name = names[name].lstrip("=")
            records.append(record(owner, 5, encoded(name)))
            owner = encoded(name)
        if name not in names:
            code = CODES["nxdomain"]
        for text in names.get(name, []):
            address = ipaddress.ip_address(text)
            if (address.version == 4) == (kind == 1) and kind in KINDS:
                records.append(record(owner, kind, address.packed))
    is_cut = is_datagram and server.get("short") and records
    if is_cut:
        records = []
    flags = bytes([0x85 if not is_cut else 0x87, 0x80 | code])
    counts = b"\0\1" + len(records).to_bytes(2, "big") + b"\0\0\0\0"
    return message[:2] + flags + counts + message[12:end] + b"".join(records)


def serve_datagrams(server, sock):
    def reply(message, peer):
        time.sleep(server.get("delay", 0) / 1000)
        found = answer(server, message, True)
        if found:
            sock.sendto(found, peer)

    while True:
        threading.Thread(target=reply, args=sock.recvfrom(4096), daemon=True).start()


def serve_streams(server, listener):
    def talk(stream):
        with stream, stream.makefile("rb") as lines:
            while length := lines.read(2):
                time.sleep(server.get("delay", 0) / 1000)
                found = answer(server, lines.read(int.from_bytes(length, "big")), False)
                if found:
                    stream.sendall(len(found).to_bytes(2, "big") + found)

    while True:
        threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def do_GET(self):
        is_query = self.path.startswith("/query")
        body = b'{"results":[{"statement_id":0}]}' if is_query else b"x" * 1024
        self.send_response(206 if "range" in self.headers else 200)
        if "range" in self.headers:
            self.send_header("content-range", "bytes 0-1023/4096")
        self.send_header("content-type", "application/json" if is_query else "image/webp")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class WebServer(ThreadingHTTPServer):
    def __init__(self, at, port):
        self.address_family = socket.AF_INET6 if ":" in at else socket.AF_INET
        super().__init__((at, port), Web)

    def server_bind(self):
        # Without the reverse lookup that http.server makes: nobody may answer it.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "web", self.server_address[1]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    for server in plan["servers"]:
        family = socket.AF_INET6 if ":" in server["at"] else socket.AF_INET
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.bind((server["at"], 53))
        listener = socket.create_server((server["at"], 53), family=family)
        for serve, sock in ((serve_datagrams, datagrams), (serve_streams, listener)):
            threading.Thread(target=serve, args=(server, sock), daemon=True).start()
    web = WebServer(plan.get("web", "::"), plan["port"])
    print("ready", flush=True)
    web.serve_forever()


main()
