"""A real influxd that the script can kill and query."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.parse

ORG, TOKEN = "dwg", "a-token-for-tests"
MEASUREMENT = "bandprobe_transfer"
CACHED = "influxd-2.9.1"
# As tests/bench/outage.rs stamps its samples: number 0, and the time from one to the next.
FIRST_NS, STEP_NS = 1_795_341_600_123_456_789, 5_000_000
# `$@`: a server. It dies with our end of the pipe, whatever kills us.
WATCH = '"$@" & server=$!; read -r _; kill -9 $server; wait $server 2>/dev/null'


class Fault(Exception):
    """Something is missing or failed."""


def find():
    """The binary that the tests use, too."""
    if named := os.environ.get("BANDPROBE_INFLUXD"):
        return named
    cache = os.environ.get("BANDPROBE_CACHE")
    if cache is None:
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "bandprobe"
    for found in [shutil.which("influxd"), pathlib.Path(cache) / CACHED]:
        if found and os.access(found, os.X_OK):
            return str(found)
    raise Fault("influxd is missing: .ci/influxd builds it")


class Database:
    """A real influxd on its own port, which it keeps when it is killed and restarted."""

    def __init__(self, binary, directory):
        self.port, self.process = 0, None
        data = directory / "influxd"
        data.mkdir()
        self.command = [binary, "--bolt-path", str(data / "bolt"), "--engine-path", str(data / "engine"),
                        "--sqlite-path", str(data / "sqlite"), "--reporting-disabled", "--http-bind-address"]
        self.start()
        setup = {"username": "tester", "password": "for-tests-only", "org": ORG, "bucket": "first", "token": TOKEN}
        self.org = self.ask("POST", "/api/v2/setup", json.dumps(setup))["org"]["id"]

    def start(self):
        command = ["sh", "-c", WATCH, "influxd-watch", *self.command, f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"transport=http.* port=(\d+)", line):
                self.port = int(found[1])
                # So that the pipe never fills up.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        raise Fault(f"influxd did not start: {''.join(said)[:2000]}")

    def kill(self):
        """SIGKILL, which the watching shell sends."""
        self.process.stdin.close()
        self.process.wait()

    def ask(self, method, path, body=None):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as server:
            server.request(method, path, body, {"authorization": f"Token {TOKEN}"})
            answer = server.getresponse()
            text = answer.read()
        if answer.status not in (200, 201):
            raise Fault(f"influxd answers {method} {path} with {answer.status}: {text.decode()[:500]}")
        return json.loads(text)

    def new_bucket(self, name):
        self.ask("POST", "/api/v2/buckets", json.dumps({"orgID": self.org, "name": name, "retentionRules": []}))
        return name

    def numbers(self, bucket, count):
        """The numbers of all points, duplicates included. Pages are small enough for influxd to answer in full."""
        found, page = [], 20_000
        for first in range(0, count, page):
            start, end = FIRST_NS + first * STEP_NS, FIRST_NS + (first + page) * STEP_NS
            found += self.select(bucket, f"SELECT asset_id FROM {MEASUREMENT} WHERE time >= {start} AND time < {end}")
        [counted] = self.select(bucket, f"SELECT count(asset_id) FROM {MEASUREMENT}") or [0]
        if counted != len(found):
            raise Fault(f"{counted} points are in the database, {len(found)} at their time")
        return [int(number) for number in found]

    def select(self, bucket, statement):
        query = urllib.parse.urlencode({"db": bucket, "epoch": "ns", "q": statement})
        [result] = self.ask("GET", f"/query?{query}")["results"]
        if "error" in result:
            raise Fault(f"{statement}: {result['error']}")
        return [row[1] for row in result["series"][0]["values"]] if "series" in result else []

    def close(self):
        self.kill()
