"""Probes per CPU-second over new TLS connections, compared with oha, and memory for a 10 GiB body: parts of `cost`.

oha (a published crate) is an HTTP load generator over hyper and rustls as well. Both make a full handshake a request, one request
at a time; start-up counts on both sides.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess

OHA = "1.16.0"  # builds with Rust 1.88
SIZES = [("30 KiB", 30 << 10), ("256 KiB", 256 << 10)]
LARGE = 10 << 30
LARGE_LIMIT_MB = 40
PROBES_LIMIT = 1.0


def find_oha():
    """oha on PATH or in the cache, installed there if need be; None when it cannot be had."""
    cache = pathlib.Path(os.environ.get("BANDPROBE_CACHE", pathlib.Path.home() / ".cache" / "bandprobe"))
    found = shutil.which("oha", path=os.pathsep.join([os.environ.get("PATH", ""), str(cache / "bin")]))
    if found is None:
        command = ["cargo", "install", "--quiet", "--locked", "--version", OHA, "--root", str(cache), "oha"]
        if subprocess.run(command).returncode == 0:
            found = str(cache / "bin" / "oha")
    return found


def make_files(directory):
    for name, size in [*SIZES, ("large", LARGE)]:
        with open(directory / "www" / name.replace(" ", ""), "wb") as body:
            body.truncate(size)


def probes(options, bandprobe, oha, directory, port):
    """Prints a table; returns the ratios by size."""
    print(f"\nprobes per CPU-second, a new TLS connection each, {options.repeat} per round")
    print(f"{'':>10}  {'oha':>7} {'bandprobe':>10}   ratio")
    ratios = {}
    for name, size in SIZES:
        url = f"https://127.0.0.1:{port}/{name.replace(' ', '')}"
        rows = []
        for index in range(options.rounds):
            sides = [lambda: run_oha(oha, url, size, options.repeat, directory),
                     lambda: run_bandprobe(bandprobe, url, size, options.repeat, directory)]
            order = (0, 1) if index % 2 else (1, 0)
            seen = {side: sides[side]() for side in order}
            rows.append((seen[0], seen[1]))
        theirs, ours = (statistics.median(side) for side in zip(*rows))
        ratios[name] = statistics.median(own / other for other, own in rows)
        print(f"{name:>10}  {theirs:7.0f} {ours:10.0f}   {ratios[name]:5.2f}", flush=True)
    return ratios


def run_oha(oha, url, size, count, directory):
    command = [oha, "-n", str(count), "-c", "1", "--disable-keepalive", "--cacert", str(directory / "ca.pem"),
               "--no-tui", "--output-format", "json", url]
    seconds, out = spent(command)
    summary = json.loads(out)["summary"]
    if summary["successRate"] != 1 or summary["totalData"] != size * count:
        raise ValueError(f"oha saw {summary} at {url}, not {count} times {size} bytes")
    return count / seconds


def run_bandprobe(bandprobe, url, size, count, directory):
    command = [bandprobe, "probe", url, "--ca-file", str(directory / "ca.pem"), "--http", "1.1", "--repeat", str(count),
               "--json"]
    seconds, out = spent(command)
    good = [sample for sample in map(json.loads, out.splitlines()) if (sample["outcome"], sample["bytes"]) == ("ok", size)]
    if len(good) != count:
        raise ValueError(f"bandprobe saw {len(good)} good answers of {count} at {url}")
    return count / seconds


def spent(command):
    """CPU-seconds (user + system) and output of a command."""
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with client.stdout as pipe:
        out = pipe.read()
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    if client.returncode != 0:
        raise ValueError(f"exit {client.returncode} from: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, out
