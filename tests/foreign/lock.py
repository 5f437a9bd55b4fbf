#!/usr/bin/python3
"""A lock controller in Python, written from docs/PROTOCOL.md alone.

It shares no code with the reference lock: what the two agree on stands in the document, and where this one and the
backend misunderstand each other, the document is wrong. The bolt is a number of seconds that pass.

    lock.py --state lock.json --url http://127.0.0.1:8080 --claim-code 0123…     enrols, then runs
    lock.py --state lock.json                                                    starts again

Needs the packages `cryptography` and `paho-mqtt`, those of Debian 12 (38 and 1.6) or newer.
"""
import argparse
import collections
import json
import os
import queue
import random
import ssl
import threading
import time
import urllib.request

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric import ec

from messages import (Refused, Situation, b64, cause_of, digest, judge_token, jwk_of, private_key, sign, split,
                      strict_json, thumbprint, too_late, verify)

MAX_EVENTS = 256
REFUSALS_A_MINUTE = 60
RESENT_A_SECOND = 16
MOVEMENT_LIMIT = 30.0
FRESH_FOR = 24 * 3600
ASK_AGAIN_AFTER = 6 * 3600
ANSWER_WITHIN = 2.0
ERASE_AFTER = 60.0


# Enrolment --------------------------------------------------------------------------------------------------------

def enrolment_proof(key, claim_code, model, firmware):
    """The `enrol+jwt` that shows the backend who holds the key and the code."""
    jkt = thumbprint(jwk_of(key))
    return sign(key, "enrol+jwt", jkt, {"code_hash": digest(claim_code), "jkt": jkt, "model": model,
                                        "firmware": firmware})


def enrol(url, claim_code, path, model="foreign", firmware="1.0.0"):
    """Claims the lock of a code, and returns it in its first start, with everything stored in the file `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    body = {"claim_code": claim_code, "public_key": jwk_of(key), "model": model, "firmware": firmware,
            "proof": enrolment_proof(key, claim_code, model, firmware)}
    request = urllib.request.Request(url + "/v1/enrolments", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        enrolment = json.load(answer)
    at = Situation(boot=1, mono=0, now=None, floor=enrolment["time"], ctr=0, min_rev=0)
    typ, keyset = verify(enrolment["keyset"], enrolment, [], at)
    if typ != "keyset+jwt":
        raise Refused("bad-typ")
    number = key.private_numbers().private_value
    return Lock(path, {
        "key": b64(number.to_bytes(32, "big")), "enrolment": enrolment, "model": model, "firmware": firmware,
        "keyset": enrolment["keyset"], "revocations": None, "boot": 0, "ctr": 0, "floor": enrolment["time"],
        "min_rev": keyset["min_rev"], "chain": b64(os.urandom(16)), "seq": 0, "head": b64(bytes(32)), "events": [],
        "under_way": None, "waiting": None, "overflown": False, "released": None, "bolt": "locked"})


# The lock ---------------------------------------------------------------------------------------------------------

def payload_of(message):
    """The claims of a message that was verified before it was stored."""
    return strict_json(split(message)[1])


class Lock:
    """What a lock knows, decides and writes down. It speaks through `publish(node, message)`, where there is one.

    All that has to survive is one JSON object in one file, which is replaced as a whole: so an event and whatever goes
    with it are there together or not at all.
    """

    def __init__(self, path, state=None, travel=0.3):
        """Starts the lock: for the first time with the `state` of its enrolment, else with what the file holds."""
        if state is None:
            with open(path, encoding="ascii") as file:
                state = json.load(file)
        self.path, self.state, self.travel = path, state, travel
        self.key = private_key(state["key"])
        self.publish = None
        self.began = time.monotonic()
        self.clock_at = None                 # The counter and the time of the last answer.
        self.asked = None                    # The nonce of the last hello that had one, and when it was made.
        self.moved_at = None                 # When the movement under way will be over.
        self.refusals = (0, 0)               # A minute of the counter, and how many refusals it has seen.
        self.resending = collections.deque()
        self.next_hello = self.next_resend = 0.0
        self.erase_at = self.mono() + ERASE_AFTER if state["released"] is not None else None
        self.erased = False
        self._append("claimed" if state["seq"] == 0 else "boot", boot=state["boot"] + 1)
        for command, kind, result in (("under_way", "jammed", "interrupted"), ("waiting", "denied", "interrupted")):
            if self.state[command]:
                seen = {"bolt": "unknown"} if command == "under_way" else {}
                self._append(kind, self.state[command], result, **{command: None}, **seen)

    # Time

    def mono(self):
        """Seconds since this start, by a counter that never goes back."""
        return time.monotonic() - self.began

    def clock(self):
        """How far the lock's clock can be believed, and what it shows."""
        if self.clock_at is None:
            return "none", None
        age = self.mono() - self.clock_at[0]
        return ("fresh" if age <= FRESH_FOR else "stale"), int(self.clock_at[1] + age)

    def situation(self):
        """What the lock knows now."""
        clock, wall = self.clock()
        state = self.state
        return Situation(state["boot"], int(self.mono()), wall if clock == "fresh" else None, state["floor"],
                         state["ctr"], state["min_rev"])

    # Storage and events

    def _save(self, **changes):
        """Stores the state with these changes; they count only once they are on the disk."""
        state = {**self.state, **changes}
        with open(self.path + ".new", "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.state = state

    def _append(self, kind, cause="auto", result="ok", node="any", **changes):
        """Signs the next event, stores it together with `changes`, and publishes it. A command stands for its token."""
        if len(self.state["events"]) >= MAX_EVENTS and not self.state["overflown"] and kind != "overflow":
            self._append("overflow", overflown=True)
        if isinstance(cause, dict) and "node" in cause:
            cause, node = {"jti": cause["jti"]}, cause["node"]
        state = {**self.state, **changes}
        clock, wall = self.clock()
        lock_id = state["enrolment"]["lock_id"]
        message = sign(self.key, "event+jwt", lock_id, {
            "lock": lock_id, "chain": state["chain"], "seq": state["seq"], "prev": state["head"],
            "salt": b64(os.urandom(16)), "boot": state["boot"], "mono": int(self.mono()), "wall": wall, "clock": clock,
            "kind": kind, "cause": cause, "result": result, "bolt": state["bolt"], "door": "closed", "battery": 80})
        events = (state["events"] + [[state["seq"], message]])[-MAX_EVENTS:]
        self._save(**changes, seq=state["seq"] + 1, head=digest(message), events=events)
        if self.publish:
            self.publish(node, message)

    # Messages to the lock

    def receive(self, message):
        """Follows one message, or writes down why not."""
        try:
            typ, claims = verify(message, self.state["enrolment"], payload_of(self.state["keyset"])["keys"],
                                 self.situation())
            getattr(self, "_on_" + typ.partition("+")[0])(claims, message)
        except Refused as refused:
            self._deny(cause_of(message), refused)

    def _deny(self, cause, refused):
        """Writes a refusal down, as long as there are not too many of them within a minute."""
        minute = int(self.mono()) // 60
        count = self.refusals[1] + 1 if self.refusals[0] == minute else 1
        self.refusals = (minute, count)
        if count <= REFUSALS_A_MINUTE:
            self._append("denied", cause, refused.word, refused.node)
        elif count == REFUSALS_A_MINUTE + 1:
            self._append("denied", "auto", "too-many")

    def _on_unlock(self, claims, _):
        """A token: it moves the bolt, or waits for the movement under way and takes the place of what waited."""
        judge_token(claims, self.situation())
        if self.state["released"] is not None:
            raise Refused("left-organization", claims["node"])
        if not self.state["under_way"]:
            self._begin(claims)
        elif self.state["waiting"]:
            self._append("denied", self.state["waiting"], "superseded", ctr=claims["ctr"], waiting=claims)
        else:
            self._save(ctr=claims["ctr"], waiting=claims)

    def _on_keyset(self, claims, message):
        """A keyset: a newer one replaces the one held."""
        held = payload_of(self.state["keyset"])["version"]
        self._replace("keyset", claims["version"], held, claims, message)

    def _on_revocations(self, claims, message):
        """A list of revoked grants: a newer one replaces the one held."""
        self._replace("revocations", claims["epoch"], self.held("revocations", "epoch"), claims, message)

    def _on_lockdown(self, _claims, _message):
        """A lockdown: this lock is one of those that its hello says know none."""
        raise Refused("bad-typ")

    def _replace(self, name, version, held, claims, message):
        """Stores the newer document as it came; the least revision never goes down."""
        if version < held:
            raise Refused("old-version")
        if version > held:
            text = message.decode() if isinstance(message, bytes) else message
            self._append(name, **{name: text}, min_rev=max(self.state["min_rev"], claims["min_rev"]))

    def held(self, name, claim):
        """The version of a document that is held, 0 for none."""
        return payload_of(self.state[name])[claim] if self.state[name] else 0

    def _on_ack(self, claims, _):
        """An acknowledgement: what the backend has need not be kept."""
        if claims["chain"] != self.state["chain"] or claims["seq"] >= self.state["seq"]:
            raise Refused("wrong-chain")
        event = dict(self.state["events"]).get(claims["seq"])
        if event is None:
            return
        if digest(event) != claims["head"]:
            raise Refused("wrong-chain")
        self._save(events=[held for held in self.state["events"] if held[0] > claims["seq"]], overflown=False)
        if self.state["released"] is not None and claims["seq"] >= self.state["released"]:
            self.erase_at = 0.0

    def _on_resend(self, claims, _):
        """A request for events: what is still there goes out again, the same bytes."""
        if (claims["chain"] != self.state["chain"] or claims["from"] > claims["to"]
                or claims["from"] >= self.state["seq"]):
            raise Refused("wrong-chain")
        self.resending.extend(seq for seq, _ in self.state["events"] if claims["from"] <= seq <= claims["to"])

    def _on_time(self, claims, _):
        """An answer to a hello: it sets the clock to the latest that it can be, and raises the floor."""
        if self.asked is None or self.asked[0] != claims["nonce"]:
            return
        since = self.mono() - self.asked[1]
        if since > ANSWER_WITHIN or claims["t"] < self.state["floor"]:
            return
        self.asked = None
        self._save(floor=claims["t"])
        self.clock_at = (self.mono(), claims["t"] + 0.999 + since)

    def _on_release(self, claims, _):
        """The backend lets the lock go."""
        now = self.situation().now
        if not 1 <= claims["exp"] - claims["iat"] <= 300:
            raise Refused("bad-lifetime")
        if now is None or now > claims["exp"]:
            raise Refused("no-time" if now is None else "expired")
        if self.state["released"] is None:
            self._append("released", {"jti": claims["jti"]}, released=self.state["seq"])
            self.erase_at = self.mono() + ERASE_AFTER

    # The bolt

    def _begin(self, command):
        """Moves the bolt: first the counter and an `attempt` are stored, then the deadline is looked at once more."""
        self._append("attempt", command, ctr=max(command["ctr"], self.state["ctr"]), under_way=command, waiting=None)
        word = too_late(command, self.situation())
        if word:
            self._append("denied", command, word, under_way=None)
        else:
            self.moved_at = self.mono() + min(self.travel, MOVEMENT_LIMIT)

    def _end(self):
        """Reports the movement that is over, and looks at the command that waits."""
        command = self.state["under_way"]
        if self.travel > MOVEMENT_LIMIT:
            self._append("jammed", command, "jammed", under_way=None, bolt="unknown")
        else:
            place = command["act"] + "ed"
            self._append(place, command, under_way=None, bolt=place)
        self.moved_at = None
        waiting = self.state["waiting"]
        if waiting:
            left = "left-organization" if self.state["released"] is not None else None
            word = left or too_late(waiting, self.situation())
            if word:
                self._append("denied", waiting, word, waiting=None)
            else:
                self._begin(waiting)

    # What happens by itself

    def hello(self):
        """What the lock says of itself on every connection and about once a minute."""
        state, now = self.state, self.mono()
        clock, _ = self.clock()
        claims = {
            "lock": state["enrolment"]["lock_id"], "boot": state["boot"], "mono": int(now), "clock": clock,
            "keyset": self.held("keyset", "version"), "revocations": self.held("revocations", "epoch"), "pins": 0,
            "ctr": state["ctr"], "head": {"chain": state["chain"], "seq": state["seq"] - 1, "hash": state["head"]},
            "battery": 80, "bolt": state["bolt"], "door": "closed", "firmware": state["firmware"],
            "model": state["model"]}
        if self.clock_at is None or now - self.clock_at[0] > ASK_AGAIN_AFTER:
            claims["nonce"] = b64(os.urandom(16))
            self.asked = (claims["nonce"], now)
        self.next_hello = now + random.uniform(54, 66)
        self.resending = collections.deque(seq for seq, _ in state["events"])
        self.publish("any", sign(self.key, "hello+jwt", claims["lock"], claims))

    def tick(self):
        """Does what has become due."""
        now = self.mono()
        if self.moved_at is not None and now >= self.moved_at:
            self._end()
        if self.erase_at is not None and now >= self.erase_at:
            os.remove(self.path)
            self.publish, self.erased = None, True
        if self.publish and now >= self.next_hello:
            self.hello()
        if self.publish and self.resending and now >= self.next_resend:
            event = dict(self.state["events"]).get(self.resending.popleft())
            if event:
                self.next_resend = now + 1 / RESENT_A_SECOND
                self.publish("any", event)


# The connection ---------------------------------------------------------------------------------------------------

class Controller(threading.Thread):
    """A lock with its connection to the broker, which it finds again whenever it is lost.

    Everything about the lock happens on this one thread; others may ask for it with `do`.
    """

    def __init__(self, lock):
        super().__init__(daemon=True)
        self.lock, self.connected = lock, threading.Event()
        self.heard = []                      # What came over `down`, for who wants to see it.
        self._asked = queue.Queue()
        self._ending = threading.Event()
        self._root = "{topic_root}/{username}".format(**lock.state["enrolment"]["mqtt"])

    def do(self, action):
        """Has the controller's own thread carry out `action`, and waits for it."""
        done = threading.Event()
        self._asked.put((action, done))
        done.wait(10)

    def stop(self):
        """Ends as a loss of power does: nobody says goodbye, and the last will speaks."""
        self._ending.set()
        self.join(10)

    def run(self):
        """Connects again and again, and lives on meanwhile, until it is stopped or the lock has left."""
        pause = 1.0
        while not self._over():
            if self._connection():
                pause = 1.0
            again = time.monotonic() + pause * random.uniform(1, 1.5)
            pause = min(pause * 2, 60.0)
            while not self._over() and time.monotonic() < again:
                self._live()
                time.sleep(0.05)

    def _over(self):
        """Whether there is nothing left to live for."""
        return self._ending.is_set() or self.lock.erased

    def _live(self):
        """Does what others have asked for, and what has become due."""
        try:
            while not self._asked.empty():
                action, done = self._asked.get()
                action()
                done.set()
            self.lock.tick()
        except OSError as error:
            print("storage failed, and so nothing moved:", error, flush=True)

    def _connection(self):
        """One connection from its beginning to its end; whether it came about at all."""
        broker, lock = self.lock.state["enrolment"]["mqtt"], self.lock
        # From 2.0 on paho-mqtt asks for which of its versions the callbacks are written.
        api = {"callback_api_version": mqtt.CallbackAPIVersion.VERSION1} if hasattr(mqtt, "CallbackAPIVersion") else {}
        client = mqtt.Client(client_id=broker["username"], clean_session=True, protocol=mqtt.MQTTv311, **api)
        client.username_pw_set(broker["username"], broker["password"])
        client.tls_set_context(ssl.create_default_context(cadata=broker["ca_certificate"]))
        client.will_set(self._root + "/status", "offline", qos=1)
        came = []

        def on_connect(_client, _data, _flags, code):
            if code == 0:
                client.subscribe(self._root + "/down", qos=1)

        def on_subscribe(_client, _data, _mid, granted):
            if list(granted) == [1]:
                came.append(True)
                client.publish(self._root + "/status", "online", qos=1)
                lock.publish = lambda node, message: client.publish(f"{self._root}/up/{node}", message, qos=1)
                lock.hello()
                self.connected.set()

        def on_message(_client, _data, message):
            self.heard.append(message.payload)
            try:
                lock.receive(message.payload)
            except OSError as error:
                print("storage failed, and so nothing moved:", error, flush=True)

        client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
        try:
            client.connect(broker["host"], broker["port"], keepalive=30)
            while not self._over() and client.loop(0.02) == mqtt.MQTT_ERR_SUCCESS:
                self._live()
        except OSError as error:
            print("no connection:", error, flush=True)
        lock.publish = None
        self.connected.clear()
        if client.socket():
            client.socket().close()
        return bool(came)


def main():
    """Runs one lock until it is interrupted or has left its organization."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--state", required=True, help="the file in which the lock keeps everything")
    options.add_argument("--url", help="the address of the backend, to enrol")
    options.add_argument("--claim-code", help="the code that the manager was shown, to enrol")
    given = options.parse_args()
    enrols = not os.path.exists(given.state)
    if enrols and not (given.url and given.claim_code):
        options.error("there is no state yet: --url and --claim-code are needed")
    controller = Controller(enrol(given.url, given.claim_code, given.state) if enrols else Lock(given.state))
    controller.start()
    try:
        controller.join()
    except KeyboardInterrupt:
        controller.stop()


if __name__ == "__main__":
    main()
