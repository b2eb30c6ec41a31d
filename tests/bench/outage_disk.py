"""The worker's disk, which can be full."""

import contextlib
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

from outage_database import Fault

BALLAST = "ballast"
# `$1`: where, `$2`: bytes. The mount lives as long as our end of the pipe.
MOUNT = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo mounted && exec cat >/dev/null'


class Disk:
    """A tmpfs in a mount namespace of its own, or a limit on the size of files."""

    def __init__(self, place, points):
        self.path, self.holder, self.enter, self.peak = place / "disk" / "data", None, [], 0
        self.path.parent.mkdir()
        self.seen = self.path
        if not CAN_MOUNT:
            return
        size = 16 * 1024 * 1024 + points * 2000
        command = ["unshare", "--mount", "sh", "-c", MOUNT, "mount", str(self.path.parent), str(size)]
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "mounted\n":
            raise Fault("cannot mount a tmpfs")
        self.seen = pathlib.Path(f"/proc/{self.holder.pid}/root{self.path}")
        self.enter = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"]

    def fill(self, pid):
        if self.holder is None:
            self.limit(pid, 0)
            return
        with open(self.seen.parent / BALLAST, "wb", buffering=0) as ballast:
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(bytes(1 << 16))

    def clear(self, pid):
        if self.holder is None:
            self.limit(pid, resource.RLIM_INFINITY)
        else:
            (self.seen.parent / BALLAST).unlink()

    @staticmethod
    def limit(pid, size):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size == resource.RLIM_INFINITY else size, hard))

    def look(self):
        """Takes note of how much the data directory holds."""
        total = 0
        for folder, _, names in os.walk(self.seen):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(folder, name)).st_size
        self.peak = max(self.peak, total)

    def close(self):
        if self.holder is not None:
            self.holder.stdin.close()
            self.holder.stdout.close()
            self.holder.wait()


def can_mount():
    """A container may let root neither mount nor enter a namespace."""
    if os.geteuid() != 0 or not all(map(shutil.which, ["unshare", "nsenter", "mount"])):
        return False
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", tempfile.gettempdir()]
    return subprocess.run(tried, capture_output=True).returncode == 0


CAN_MOUNT = can_mount()
