#!/usr/bin/python3
"""A mail server for the tests: takes letters over SMTP, says on standard output what came, one JSON object a line.

What it answers to an address is what the file of replies says, `ADDRESS CODE` a line, each line once and in order; and
250 when there is none left. `auth` in place of an address is the answer to a sign-in. It stops when its input closes.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**what):
    print(json.dumps(what), flush=True)


class Replies:
    def __init__(self, path):
        self.path = path

    def next_for(self, address):
        """The code that is due, taken off the list."""
        with open(self.path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for at, line in enumerate(lines):
            name, code = line.split()
            if name == address:
                del lines[at]
                with open(self.path, "w", encoding="utf-8") as file:
                    file.write("".join(f"{line}\n" for line in lines))
                return int(code)
        return 250


class Handler:
    def __init__(self, replies):
        self.replies = replies

    async def handle_RCPT(self, server, session, envelope, address, options):
        code = self.replies.next_for(address)
        say(to=address, code=code)
        if code != 250:
            return f"{code} not now, {address}"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = lambda kind: message.get_body((kind,)).get_content()
        say(
            letter={
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "headers": [[name, str(value)] for name, value in message.items()],
                "text": body("plain"),
                "html": body("html"),
                "tls": server.transport.get_extra_info("cipher") is not None,
                "user": session.authenticated and str(session.auth_data),
            }
        )
        return "250 taken"


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--replies", required=True)
    arguments.add_argument("--certificate")
    arguments.add_argument("--key")
    arguments.add_argument("--user")
    arguments.add_argument("--password")
    arguments.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    given = arguments.parse_args()
    replies = Replies(given.replies)

    context = None
    if given.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.key)

    def authenticate(server, session, envelope, mechanism, data):
        code = replies.next_for("auth")
        is_known = (data.login.decode(), data.password.decode()) == (given.user, given.password)
        say(auth=data.login.decode(), known=is_known, code=code)
        return AuthResult(success=is_known and code == 250, handled=False, auth_data=data.login.decode())

    def session():
        return SMTP(
            Handler(replies),
            hostname="mail.test",
            enable_SMTPUTF8=True,
            tls_context=context if given.tls == "starttls" else None,
            require_starttls=given.tls == "starttls",
            authenticator=authenticate,
            auth_required=given.user is not None,
            auth_require_tls=given.tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    implicit = context if given.tls == "implicit" else None
    server = await loop.create_server(session, "127.0.0.1", given.port, ssl=implicit)
    say(ready=given.port)
    closed = loop.run_in_executor(None, sys.stdin.read)
    await closed
    server.close()


asyncio.run(main())
