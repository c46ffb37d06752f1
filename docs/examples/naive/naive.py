"""A service that elects naively: a node that hears of none with a lower name takes itself for the leader."""

import json
import secrets
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ME = sys.argv[1]
PEERS = dict(peer.split("=", 1) for peer in sys.argv[2].split(","))
BOOT = secrets.token_hex(4)
STARTED = time.monotonic()

heard = {}  # when each of the others answered last
wins = 0
was_leading = False


def lowest():
    now = time.monotonic()
    return min([ME, *(name for name, at in heard.items() if now - at < 1.0)])


def watch(name, address):
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/status", timeout=0.3) as answer:
                answer.read()
            heard[name] = time.monotonic()
        except OSError:
            pass
        time.sleep(0.1)


def reign():
    """Counts every leadership, so that two of them are never taken for one."""
    global wins, was_leading
    while True:
        leading = lowest() == ME and time.monotonic() - STARTED > 1.5
        wins += leading and not was_leading
        was_leading = leading
        time.sleep(0.02)


class Status(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        leading = was_leading
        status = {"state": "leader" if leading else "follower", "leader": lowest(), "id": f"{BOOT}-{wins}"}
        body = json.dumps(status).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        pass


for peer, address in PEERS.items():
    threading.Thread(target=watch, args=(peer, address), daemon=True).start()
threading.Thread(target=reign, daemon=True).start()
ThreadingHTTPServer(("0.0.0.0", 8000), Status).serve_forever()
