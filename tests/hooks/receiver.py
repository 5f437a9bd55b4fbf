#!/usr/bin/python3
"""A receiver of webhooks for the tests: verifies what comes by the library of Standard Webhooks, unmodified, and says on
standard output what came, one JSON object a line.

It is told on standard input, one JSON object a line: `secret`, by which it verifies from now on; `now`, what its clock
says in seconds since 1970; `answers`, what it answers to the next requests, each `[STATUS, HEADERS]`, before it answers 204
again. It stops when its input closes.
"""

import argparse
import datetime
import http.server
import json
import ssl
import sys
import threading

import standardwebhooks.webhooks
from standardwebhooks import Webhook

known = {"secret": None, "now": 0, "answers": []}
lock = threading.Lock()


class HandClock(datetime.datetime):
    """The tests' clock stands still until they move it."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(known["now"], tz)


standardwebhooks.webhooks.datetime = HandClock


def say(**what):
    print(json.dumps(what), flush=True)


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with lock:
            status, answer = known["answers"].pop(0) if known["answers"] else (204, {})
            why = None
            try:
                Webhook(known["secret"]).verify(body, headers)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
            say(path=self.path, headers=headers, body=body, refused=why, status=status)
        self.send_response(status)
        for name, value in answer.items():
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, required=True)
arguments.add_argument("--certificate")
arguments.add_argument("--key")
given = arguments.parse_args()
server = http.server.ThreadingHTTPServer(("127.0.0.1", given.port), Receiver)
server.daemon_threads = True
if given.certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.certificate, given.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
say(ready=given.port)
for line in sys.stdin:
    with lock:
        known.update(json.loads(line))
    say(heard=True)
