"""A store that grants one lease at a time (``lock.py store``), and nodes that contend for it (``lock.py NAME URL``)."""

import contextlib
import json
import secrets
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LEASE = 1.0  # seconds
ME = sys.argv[1]
BOOT = secrets.token_hex(4)

turn, asking = threading.Lock(), threading.Lock()


class Lease:
    """The lease in the store: its holder, and until when it may not be given to another."""

    holder = None
    until = 0.0

    def take(self, name):
        with turn:
            now = time.monotonic()
            if self.holder == name or now > self.until:
                self.holder, self.until = name, now + LEASE
            return self.holder


class Contender:
    """A node: it leads from an answer of the store until the lease that it shows is over."""

    holder = None
    until = 0.0  # counted from before the question, so that it ends before the store's
    wins = 0

    def ask(self):
        """Ask the store for the lease, one question at a time; True if it was granted and is not over yet."""
        with asking:
            asked = time.monotonic()
            with urllib.request.urlopen(f"{sys.argv[2]}/take/{ME}", timeout=0.5) as answer:
                holder = json.load(answer)["holder"]
            with turn:
                led = self.leads()
                self.holder, self.until = holder, asked + LEASE
                self.wins += self.leads() and not led
                return self.leads()

    def leads(self):
        return self.holder == ME and time.monotonic() < self.until

    def status(self):
        with turn:
            known = self.holder if time.monotonic() < self.until else None
            return {"leading": known == ME, "leader": known, "id": f"{BOOT}-{self.wins}"}

    def contend(self):
        while True:
            with contextlib.suppress(OSError, ValueError):
                self.ask()
            time.sleep(0.2)


lease, contender = Lease(), Contender()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/take/"):
            self.reply(200, {"holder": lease.take(self.path.removeprefix("/take/"))})
        else:
            self.reply(200, contender.status())

    def do_POST(self):
        try:
            self.reply(200 if contender.ask() else 409, {})
        except (OSError, ValueError):
            self.reply(503, {})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        pass


if ME != "store":
    threading.Thread(target=contender.contend, daemon=True).start()
ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
