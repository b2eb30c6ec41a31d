"""A backlog: files as an outage of the database leaves them, by the format in src/archive/format.rs."""

import os
import time

# As large as a worker seals them.
FILE_BYTES = 1_000_000
# Points that one comment announces.
GROUP = 1000
CASTAGNOLI = 0x82F63B78


def fill(spool, count):
    """Adds `count` sealed files that wait for delivery. All are hard links to one file on the disk."""
    whole = spool.parent.with_name("backlog")
    whole.write_bytes(sealed())
    # Recent, because old files are delivered even during heavy transfers.
    opened = time.time_ns() - 60 * 10**9
    for number in range(count):
        seconds, nanos = divmod(opened + number, 10**9)
        stamp = time.strftime("%Y-%m-%dT%H%M%S", time.gmtime(seconds))
        os.link(whole, spool / f"{stamp}.{nanos:09}Z-1.lp")


def sealed():
    """Header, points of many series behind the sums that announce them, trailer."""
    points, size = [], 0
    while size < FILE_BYTES:
        points.append(point(len(points)))
        size += len(points[-1]) + 1
    lines = ["# bandprobe lines format=1"]
    for first in range(0, len(points), GROUP):
        group = points[first:first + GROUP]
        lines += [" ".join(["# sums", *(f"{crc32c(line.encode()):08x}" for line in group)]), *group]
    body = ("\n".join(lines) + "\n").encode()
    return body + f"# end points={len(points)} crc32c={crc32c(body):08x}\n".encode()


def point(number):
    # Digits that do not repeat: otherwise it would compress far better than real measurements.
    mixed = number * 2654435761 % 2**32
    return (f"bandprobe_transfer,vantage=backlog,node=node-{number % 200},region=none,probe=image,kind=image,part=full,"
            f"conn=cold,http=1.1,family=4,cache=hit,outcome=ok ok=1i,valid=1i,lateness_us={mixed % 999}i,method=2i,"
            f"dns_us={mixed % 4999}i,connect_us={mixed % 19997}i,tls_us={mixed % 39989}i,send_us={mixed % 97}i,"
            f"wait_us={mixed % 49999}i,receive_us={mixed % 59999}i,total_us={mixed % 99991}i,bytes=20000i,status=200i,"
            f'effective_bps={mixed}i,trace_id="{mixed * mixed * 7919 % 2**128:032x}",asset_id="{number}" '
            f"{1_795_341_600_000_000_000 + number * 5_000_000}")


def crc32c(data):
    """RFC 3720, appendix B.4."""
    crc = 0xFFFFFFFF
    for octet in data:
        crc = crc >> 8 ^ TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


def shifted(value):
    for _ in range(8):
        value = value >> 1 ^ (CASTAGNOLI if value & 1 else 0)
    return value


TABLE = [shifted(value) for value in range(256)]
