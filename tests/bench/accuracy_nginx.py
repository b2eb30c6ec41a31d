"""nginx, where HTTP/2 is needed: in the server's namespace, with sparse files as bodies."""

import subprocess
import time

from accuracy_client import needed
from accuracy_link import SERVER, Fault, inside

CONFIG = """
daemon off;
user root;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  ssl_certificate {certificate}/leaf.pem;
  ssl_certificate_key {certificate}/leaf.key;
  ssl_protocols TLSv1.3;
  output_buffers 2 256k;
  server {{
    listen {address}:443 ssl http2;
    root {dir}/www;
    {pad}
  }}
}}
"""


class Nginx:
    """Serves `/SIZE` for every size given, by what ALPN agrees on."""

    def __init__(self, pair, certificate, sizes):
        place = certificate / pair.server
        (place / "www").mkdir(parents=True)
        for size in sizes:
            with open(place / "www" / str(size), "wb") as body:
                body.truncate(size)
        # Uses up what the token bucket has saved; in several, as no single header may be that long.
        burst = getattr(pair, "burst", 0)
        pad = "".join(f'add_header x-pad-{n} "{"." * 3000}";\n' for n in range(-(-burst // 3000)))
        config = place / "nginx.conf"
        config.write_text(CONFIG.format(dir=place, certificate=certificate, address=SERVER, pad=pad))
        command = ["ip", "netns", "exec", pair.server, needed("nginx"), "-e", place / "error.log", "-p", place, "-c", config]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.process.poll() is not None:
                raise Fault(f"nginx did not start: {(place / 'error.log').read_text().strip()}")
            if inside(pair.server, is_listening):
                return
            time.sleep(0.02)
        raise Fault("nginx does not listen after 4 s")

    def close(self):
        self.process.terminate()
        self.process.wait()


def is_listening():
    # 0A is LISTEN, 01BB is 443.
    with open("/proc/thread-self/net/tcp", encoding="ascii") as lines:
        return any(":01BB " in line and " 0A " in line for line in lines)


# A client takes no more than 16 KiB of head over HTTP/2, unless it said so (RFC 9113, 6.5.2).
MOST_PAD = 12_000
