"""A worker under test, in all its lives: fed, killed, started again, and watched."""

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

from outage_database import ORG, TOKEN, Fault

# How long anything may take that is waited for. A backoff is at most a minute, a request half of one.
PATIENCE = 300


class Run:
    """A worker in all its lives, with what it was fed and what it told."""

    def __init__(self, worker, place, bucket, proxy, database, disk, points, rate):
        self.proxy, self.database, self.disk, self.points, self.rate = proxy, database, disk, points, rate
        self.next = 0  # the number of the next sample
        self.told, self.handed_at_kill = set(), set()
        self.resumed = self.drained = None
        self.memory = self.cpu = self.rejected = self.admitted = self.waiting = 0
        self.ended_at = None
        self.log = collections.deque(maxlen=20)
        self.config = place / "config.toml"
        (place / "token").write_text(TOKEN)
        self.config.write_text(
            f'vantage.id = "here"\narchive.dir = "{disk.path}"\n'
            '[[source]]\nkind = "static"\nnodes = [{ id = "a", endpoint = "http://127.0.0.1:9/", '
            'assets = [{ kind = "image", path = "/x" }, { kind = "video", path = "/y" }] }]\n'
            f'[influxdb]\nurl = "http://127.0.0.1:{proxy.port}"\norg = "{ORG}"\nbucket = "{bucket}"\n'
            'token-file = "token"\n')
        self.command = [*disk.enter, str(worker), str(self.config)]
        self.start()

    def start(self):
        # Not Python's defaults: SIGXFSZ must stay ignored, or the limit in place of a full disk kills.
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1,
                                        stderr=subprocess.PIPE, text=True, restore_signals=False)
        # Not Popen.kill(), which would take the process from the watcher when it has ended.
        self.handle = os.pidfd_open(self.process.pid)
        self.said = threading.Condition()
        self.fed = self.handed = self.next - 1
        self.stopped = self.usage = None
        self.listener = threading.Thread(target=self.listen, args=(self.process.stdout,), daemon=True)
        self.watcher = threading.Thread(target=self.watch, args=(self.process.pid,), daemon=True)
        threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True).start()
        self.listener.start()
        self.watcher.start()

    def listen(self, stdout):
        for line in stdout:
            if not line.endswith("\n"):
                break  # torn by a kill
            word, *rest = line.split()
            numbers = [int(number) for number in rest]
            with self.said:
                if word == "told":
                    self.told.add(numbers[0])
                elif word == "handed":
                    self.handed = numbers[1]
                elif word == "fed":
                    self.fed = numbers[0]
                elif word == "stopped":
                    self.stopped = numbers
                if word != "told":
                    self.said.notify_all()
        with self.said:
            self.said.notify_all()

    def watch(self, pid):
        """ru_maxrss would be that of this interpreter: a child inherits the mark of the process it was forked from."""
        while True:
            done, _, usage = os.wait4(pid, os.WNOHANG)
            if done:
                self.usage = usage
                return
            self.memory = max(self.memory, high_water(pid))
            self.disk.look()
            time.sleep(0.05)

    def feed(self, share):
        self.hand(share)
        self.wait("all is handed over", lambda: self.fed == self.next - 1)

    def hand(self, share):
        count = round(self.points * share)
        self.tell(f"feed {self.next} {count} {self.rate}")
        self.next += count

    def feed_the_rest(self):
        self.feed((self.points - self.next) / self.points)

    def tell(self, command):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{command}\n")

    def wait(self, what, holds, patience=PATIENCE):
        """Waits for something that the worker says."""
        limit = time.monotonic() + patience + self.points / self.rate
        with self.said:
            while not holds():
                if not self.listener.is_alive() or not self.said.wait(timeout=1) and time.monotonic() > limit:
                    raise self.fault(f"never: {what}")

    def kill_while_feeding(self, share):
        """SIGKILL once half of it is handed over, whatever the worker is at; the next life goes on with the rest."""
        goal = self.next + round(self.points * share / 2)
        end = self.next + round(self.points * share)
        self.hand(share)
        self.wait("half of it is handed over", lambda: self.handed >= goal)
        signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        self.reap()
        self.next = self.handed + 1
        self.handed_at_kill |= set(range(self.next))
        self.start()
        self.feed((end - self.next) / self.points)

    def reap(self):
        self.listener.join()
        self.watcher.join()
        self.process.returncode = 0  # the watcher has taken it
        os.close(self.handle)
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.cpu += self.usage.ru_utime + self.usage.ru_stime

    @contextlib.contextmanager
    def trouble(self, mode):
        self.proxy.behave(mode)
        yield
        if not self.proxy.met:
            self.wait_until(f"the worker meets '{mode}'", lambda: self.proxy.met)
        self.proxy.behave("pass")
        self.over()

    @contextlib.contextmanager
    def database_down(self):
        self.database.kill()
        yield
        self.database.start()
        self.over()

    @contextlib.contextmanager
    def full_disk(self):
        self.disk.fill(self.process.pid)
        yield
        self.disk.clear(self.process.pid)
        self.over()

    def over(self):
        self.ended_at, self.due = time.monotonic(), self.next
        self.proxy.stored_since = None

    def wait_until(self, what, holds):
        limit = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > limit or self.usage is not None:
                raise self.fault(f"never: {what}")
            time.sleep(0.02)

    def finish(self):
        """Waits until all is delivered that can be, and ends the worker."""
        due = set(range(self.due)) - (self.handed_at_kill - self.told)
        limit = time.monotonic() + PATIENCE
        while not due <= self.proxy.numbers and time.monotonic() < limit and not self.is_idle():
            time.sleep(0.05)
        if self.proxy.stored_since is not None:
            self.resumed = self.proxy.stored_since - self.ended_at
        if due <= self.proxy.numbers:
            self.drained = max(self.proxy.last_news(due) - self.ended_at, 0)
        self.tell("stop 60")
        self.wait("the worker stops", lambda: self.stopped is not None)
        self.reap()
        _, self.rejected, self.admitted, self.waiting = self.stopped

    def is_idle(self):
        """Has it nothing to deliver any more, although something is missing? An idle drain has what is open sealed."""
        waits = any(name.endswith(".lp") for name in os.listdir(self.disk.seen / "spool"))
        return not waits and time.monotonic() - max(self.proxy.last_stored, self.ended_at) > 5

    def fault(self, what):
        return Fault(f"{what}; the worker's last words:\n{''.join(self.log)}")

    def close(self):
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            self.reap()


def high_water(pid):
    """Peak resident memory of a running process in bytes; 0 once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else 0
