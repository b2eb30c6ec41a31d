"""The two clients: a release build of bandprobe, and curl for comparison, both in the client's namespace."""

import json
import pathlib
import shutil
import subprocess
import threading

from accuracy_link import Fault


class Clients:
    """Starts clients, and ends those that still run when it is closed."""

    def __init__(self, binary, authority):
        self.binary, self.authority = str(binary), str(authority)
        self.running, self.lock, self.closed = set(), threading.Lock(), False

    def bandprobe(self, namespace, url, *words, enter=()):
        """The samples of `bandprobe probe URL`, in order."""
        command = [*enter, self.binary, "probe", url, "--json", "--ca-file", self.authority, *words]
        code, out, complaint = self.run(namespace, command)
        if code not in (0, 3):
            raise Fault(f"exit {code} from `{' '.join(command)}`: {complaint.strip()[-300:]}")
        return [json.loads(line) for line in out.splitlines()]

    def curl(self, namespace, url, *words, enter=()):
        """What curl reports about one transfer (its --write-out '%{json}')."""
        command = [*enter, "curl", "-s", "--cacert", self.authority, "-o", "/dev/null", "-w", "%{json}", *words, url]
        _, out, complaint = self.run(namespace, command)
        if not out:
            raise Fault(f"nothing from `{' '.join(command)}`: {complaint.strip()[-300:]}")
        return json.loads(out)

    def run(self, namespace, command):
        with self.lock:
            if self.closed:
                raise Fault("stopped")
            client = subprocess.Popen(["ip", "netns", "exec", namespace, *command], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.running.add(client)
        with client:
            try:
                out, complaint = client.communicate()
            except BaseException:
                client.kill()
                raise
            finally:
                with self.lock:
                    self.running.discard(client)
        return client.returncode, out, complaint

    def close(self):
        with self.lock:
            self.closed = True
            for client in self.running:
                client.kill()


def needed(tool):
    found = shutil.which(tool, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise Fault(f"{tool} is missing: apt-get install {PACKAGES.get(tool, tool)}")
    return pathlib.Path(found)


PACKAGES = {"ip": "iproute2", "tc": "iproute2"}
