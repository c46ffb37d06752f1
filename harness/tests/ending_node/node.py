"""A node for tests: n1 always leads, and with the argument ``exits`` ends with status 3 a while after its start.

With the argument ``supervised`` another process serves, and the first starts it again when it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, HABIT = sys.argv[1:3]


def end() -> None:
    time.sleep(4)
    print("Traceback (most recent call last):\n  File \"node.py\", line 1\nKeyError: 'lost'", flush=True)
    os._exit(3)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"leading": NAME == "n1" and HABIT != "follows", "leader": "n1", "boot": BOOT}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


while HABIT == "supervised":
    subprocess.run([sys.executable, "-u", __file__, NAME, "stays"], check=False)

BOOT = time.time_ns()
if NAME == "n1" and HABIT == "exits":
    threading.Thread(target=end, daemon=True).start()
ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
