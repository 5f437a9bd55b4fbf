#!/usr/bin/python3
"""Checks the foreign lock, and by it the protocol document.

    check.py vectors                    all of lock/vectors/ against the foreign implementation
    check.py story demo.json            the foreign lock in the house of a running demo (`doorward demo --json`)

One line a check; the exit status is 0 only where all of them hold.
"""
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import lock as foreign
import messages

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "lock" / "vectors"
FAILED = []


def check(name, holds, seen=""):
    """Says in one line whether something holds."""
    print(f"ok   {name}" if holds else f"FAIL {name} (seen: {seen})", flush=True)
    if not holds:
        FAILED.append(name)


# The vectors ------------------------------------------------------------------------------------------------------

def vectors(name):
    """What a file of vectors holds."""
    return json.loads((VECTORS / name).read_text())


def pinned(file):
    """The part of an enrolment that a file of vectors tells."""
    root = {name: file["root"][name] for name in ("kty", "crv", "x", "y")}
    return {"iss": file["lock"]["iss"], "org": file["lock"]["org"], "lock_id": file["lock"]["lock"], "root_key": root}


def verdict(token, enrolment, keys, at):
    """The word by which a token is refused, or `accepted`."""
    try:
        typ, claims = messages.verify(token, enrolment, keys, at)
        messages.judge_token(claims, at)
        return "accepted" if typ == "unlock+jwt" else typ
    except messages.Refused as refused:
        return refused.word


def check_tokens():
    """Every unlock token, in the situation of its case."""
    file = vectors("tokens.json")
    enrolment = pinned(file)
    nothing = messages.Situation(boot=1, mono=0, now=None, floor=0, ctr=0, min_rev=0)
    keys = messages.verify(file["keyset"], enrolment, [], nothing)[1]["keys"]
    for case in file["accept"] + file["refuse"]:
        wanted = case.get("reason", "accepted")
        word = verdict(case["token"], enrolment, keys, messages.Situation(**case["knows"]))
        check(f"token: {case['name']}: {wanted}", word == wanted, word)


def check_chain():
    """A chain of events: the signature, the claims, the hash, and that each names the one before."""
    file = vectors("chain.json")
    jwk = {name: file["key"][name] for name in ("kty", "crv", "x", "y")}
    before = messages.b64(bytes(32))
    for number, step in enumerate(file["events"]):
        _, payload, signature, body = messages.split(step["event"])
        claims = messages.strict_json(payload)
        check(f"chain: event {number}: {claims['kind']}",
              messages.holds(jwk, body, signature) and claims == step["claims"]
              and messages.digest(step["event"]) == step["hash"]
              and (claims["seq"], claims["prev"]) == (number, before), claims)
        before = step["hash"]


def fresh_lock(folder, file, keyset):
    """A lock of the vectors in its first start, whose clock shows a time that suits them."""
    return foreign.Lock(os.path.join(folder, "lock.json"), {
        "key": messages.b64(b"\6" * 32), "enrolment": pinned(file), "model": "bench", "firmware": "1.0.0",
        "keyset": keyset, "revocations": None, "boot": 0, "ctr": 0, "floor": 1772442000, "min_rev": 0,
        "chain": messages.b64(b"Z" * 16), "seq": 0, "head": messages.b64(bytes(32)), "events": [], "under_way": None,
        "waiting": None, "overflown": False, "released": None, "bolt": "locked"})


def newest(lock):
    """What the newest event of a lock says."""
    return foreign.payload_of(lock.state["events"][-1][1])


def check_keysets():
    """Keysets one after the other, and what becomes of each."""
    file = vectors("keysets.json")
    with tempfile.TemporaryDirectory() as folder:
        lock = None
        for step in file["steps"]:
            before = lock.state["seq"] if lock else 0
            if lock is None:
                lock = fresh_lock(folder, file, step["document"])
                word = "taken"
            else:
                lock.receive(step["document"])
                event = newest(lock) if lock.state["seq"] > before else {"kind": "held"}
                word = {"keyset": "taken", "denied": event.get("result")}.get(event["kind"], event["kind"])
            right = word == step["expect"] and (word != "taken" or lock.state["keyset"] == step["document"])
            check(f"keyset: {step['name']}: {step['expect']}", right, word)


def check_documents():
    """A good message of every other type: what it says, and that the lock follows it."""
    file = vectors("documents.json")
    at = messages.Situation(boot=1, mono=100, now=1772442000, floor=1772442000, ctr=0, min_rev=0)
    keys = messages.verify(file["keyset"], pinned(file), [], at)[1]["keys"]
    for document in file["documents"]:
        if document["typ"] == "hello+jwt":
            jwk = {name: file["lock_key"][name] for name in ("kty", "crv", "x", "y")}
            _, payload, signature, body = messages.split(document["message"])
            right = messages.holds(jwk, body, signature) and messages.strict_json(payload) == document["claims"]
        else:
            right = messages.verify(document["message"], pinned(file), keys, at) == (document["typ"],
                                                                                     document["claims"])
        check(f"document: {document['typ']}", right)
    by_type = {document["typ"]: document for document in file["documents"]}
    with tempfile.TemporaryDirectory() as folder:
        lock = fresh_lock(folder, file, file["keyset"])
        lock.receive(by_type["revocations+jwt"]["message"])
        check("document: revocations are stored, and an event says so", newest(lock)["kind"] == "revocations")
        lock.receive(by_type["release+jwt"]["message"])
        check("document: no release without a clock", newest(lock)["result"] == "no-time", newest(lock))
        lock.asked = (by_type["time+jwt"]["claims"]["nonce"], lock.mono())
        lock.receive(by_type["time+jwt"]["message"])
        check("document: the time sets the clock", lock.clock() == ("fresh", 1772442000), lock.clock())
        lock.receive(by_type["ack+jwt"]["message"])
        check("document: an acknowledgement of another history", newest(lock)["result"] == "wrong-chain", newest(lock))
        lock.receive(by_type["release+jwt"]["message"])
        check("document: a release", newest(lock)["kind"] == "released", newest(lock))


def check_enrolment():
    """The proof for a claim code, and that the foreign one verifies."""
    file = vectors("enrolment.json")
    key = messages.private_key(file["key"]["d"])
    jwk = messages.jwk_of(key)
    check("enrolment: thumbprint", messages.thumbprint(jwk) == file["thumbprint"])
    for whose, proof in (("vector", file["proof"]),
                         ("own", foreign.enrolment_proof(key, file["claim_code"], "bench", "1.0.0"))):
        header, payload, signature, body = messages.split(proof)
        check(f"enrolment: the {whose} proof",
              messages.strict_json(header) == {"alg": "ES256", "typ": "enrol+jwt", "kid": file["thumbprint"]}
              and messages.strict_json(payload) == file["claims"] and messages.holds(jwk, body, signature))


# The story --------------------------------------------------------------------------------------------------------

class Person:
    """Somebody who is signed in."""

    def __init__(self, demo, who):
        self.base, self.token = demo["base_url"], None
        self.token = self.ask("POST", "/v1/auth/sign-in", demo[who])[1]["access_token"]

    def ask(self, method, path, body=None):
        """One request: the status, and the answer's JSON."""
        headers = {"Authorization": "Bearer " + self.token} if self.token else {}
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as problem:
            return problem.code, json.load(problem)

    def move(self, lock_id, act="unlock"):
        """Asks for a movement, and sums the answer up in a few words."""
        status, answer = self.ask("POST", f"/v1/locks/{lock_id}/{act}", {"wait_ms": 15000})
        words = (answer["type"].rpartition(":")[2] if "type" in answer else answer["status"], answer.get("reason"))
        return " ".join([str(status)] + [word for word in words if word])


def until(holds, seconds=20.0):
    """Waits until something holds; whether it did in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def start(lock):
    """Connects a lock."""
    controller = foreign.Controller(lock)
    controller.start()
    controller.connected.wait(20)
    return controller


def story(demo, folder):
    """A foreign lock in the demo's house, from its first day to its last."""
    landlord, guest = Person(demo, "landlord"), Person(demo, "guest")
    path = os.path.join(folder, "lock.json")
    status, added = landlord.ask("POST", "/v1/locks", {
        "property_id": demo["property_id"], "name": f"Foreign door {os.urandom(3).hex()}", "kind": "controller"})
    check("the landlord adds a lock", status == 201, added)
    lock_id = added["id"]

    def shown(member):
        seen = landlord.ask("GET", f"/v1/locks/{lock_id}")[1][member]
        return seen["value"] if isinstance(seen, dict) else seen

    now = datetime.now(timezone.utc)
    status, grant = landlord.ask("POST", "/v1/grants", {
        "lock_ids": [lock_id], "to": {"email": demo["guest"]["email"]},
        "starts_at": (now - timedelta(hours=1)).isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat()})
    check("the guest gets a grant", status == 201, grant)
    check("a lock that nobody has claimed opens to nobody", guest.move(lock_id).startswith("403"))

    lock = foreign.enrol(demo["base_url"], added["claim"]["code"], path)
    check("the lock enrols", lock.state["enrolment"]["lock_id"] == lock_id)
    check("its state says so", shown("state") == "enrolled" and shown("model") == "foreign")
    try:
        foreign.enrol(demo["base_url"], added["claim"]["code"], path + ".second")
        check("a claim code is good once", False, "enrolled twice")
    except urllib.error.HTTPError as problem:
        check("a claim code is good once", problem.code == 409, problem.code)

    check("an enrolled lock that is not connected", guest.move(lock_id) == "409 lock-offline")
    controller = start(lock)
    check("the lock connects", controller.connected.is_set())
    check("the backend sees it", until(lambda: shown("online") is True), shown("online"))
    check("the lock gets the time", until(lambda: lock.clock()[0] == "fresh", 70), lock.clock())
    check("the first event is acknowledged", until(lambda: not lock.state["events"]), lock.state["events"])

    word = guest.move(lock_id)
    check("the guest unlocks", word == "200 confirmed", word)
    check("the bolt is shown unlocked", until(lambda: shown("bolt") == "unlocked"), shown("bolt"))
    word = guest.move(lock_id, "lock")
    check("the guest locks", word == "200 confirmed", word)
    check("the bolt is shown locked", until(lambda: shown("bolt") == "locked"), shown("bolt"))
    check("every event is acknowledged", until(lambda: not lock.state["events"]), lock.state["events"])

    attack(controller, landlord)
    supersede(lock, guest)
    controller = lose_power(controller, guest, landlord, path)
    check("the landlord revokes", landlord.ask("POST", f"/v1/grants/{grant['id']}/revoke")[0] == 200)
    before = len(controller.heard)
    word = guest.move(lock_id)
    check("the guest is refused", word == "403 access-refused grant-revoked", word)
    check("and the lock has heard nothing of it", not any(b"unlock" in messages.split(text)[0]
                                                           for text in controller.heard[before:]))
    status, answer = landlord.ask("POST", f"/v1/locks/{lock_id}/retire")
    check("the landlord retires the lock", status == 200 and answer["state"] == "retired", answer)
    check("and its connection ends", until(lambda: not controller.connected.is_set()))
    controller.stop()


def attack(controller, landlord):
    """Tokens that were overheard on the lock's own `down` come back as they were, and changed."""
    lock = controller.lock
    token = [text for text in controller.heard if messages.strict_json(messages.split(text)[0])["typ"] == "unlock+jwt"
             and messages.strict_json(messages.split(text)[1])["act"] == "unlock"][-1].decode()
    header, payload, signature = token.split(".")
    claims = {**messages.strict_json(messages.unb64(payload)), "ctr": 2 ** 53 - 1}
    changed = messages.b64(json.dumps(claims).encode())
    own = messages.sign(lock.key, "unlock+jwt", messages.strict_json(messages.unb64(header))["kid"], claims)
    nothing = messages.b64(json.dumps({"alg": "none", "typ": "unlock+jwt", "kid": lock.state["chain"]}).encode())
    for name, text, word in (("replayed", token, "replayed"),
                             ("with a greater counter", f"{header}.{changed}.{signature}", "bad-signature"),
                             ("signed by somebody else", own, "bad-signature"),
                             ("with no signature wanted", f"{nothing}.{changed}.", "bad-alg"),
                             ("with something behind it", token + " ", "malformed")):
        before = lock.state["ctr"], lock.state["bolt"]
        seen = []
        controller.do(lambda text=text, seen=seen: (lock.receive(text.encode()), seen.append(newest(lock))))
        event = seen[0] if seen else {}
        check(f"a token {name} moves nothing: {word}",
              (event.get("kind"), event.get("result")) == ("denied", word) and lock.state["under_way"] is None
              and before == (lock.state["ctr"], lock.state["bolt"]), event)
    check("the refusals are acknowledged", until(lambda: not lock.state["events"]), lock.state["events"])
    lock_id = lock.state["enrolment"]["lock_id"]
    log = landlord.ask("GET", f"/v1/access-log?lock_id={lock_id}&limit=200")[1]["data"]
    check("the access log tells of them", sum("bad-signature" in json.dumps(entry) for entry in log) == 2, log)


def supersede(lock, guest):
    """Three commands while the bolt is slow: the first moves, the third takes the place of the second."""
    lock.travel = 3.0
    lock_id = lock.state["enrolment"]["lock_id"]
    heard = []
    publish = lock.publish
    lock.publish = lambda node, message: (heard.append((node, foreign.payload_of(message))), publish(node, message))
    attempts = []
    for act, sign_of_it in (("unlock", "under_way"), ("lock", "waiting"), ("lock", "waiting")):
        before = lock.state[sign_of_it]
        attempts.append(guest.ask("POST", f"/v1/locks/{lock_id}/{act}", {"wait_ms": 0})[1]["id"])
        until(lambda: lock.state[sign_of_it] not in (None, before), 2)

    def became():
        return [guest.ask("GET", f"/v1/attempts/{attempt}")[1] for attempt in attempts]

    until(lambda: became()[2]["status"] == "confirmed", 10)
    told = [(event["kind"], event["result"]) for _, event in heard if "kind" in event]
    check("while the bolt moves the newest command waits, and the one before it never begins",
          told == [("attempt", "ok"), ("denied", "superseded"), ("unlocked", "ok"), ("attempt", "ok"),
                   ("locked", "ok")], told)
    check("the events of a command go to the node that gave it",
          all(node != "any" for node, event in heard if "kind" in event), heard)
    check("the attempts say the same",
          [attempt["status"] for attempt in became()][::2] == ["confirmed", "confirmed"]
          and "superseded" in became()[1].get("reason", ""), became())
    lock.publish, lock.travel = publish, 0.3


def lose_power(controller, guest, landlord, path):
    """The power goes while the bolt moves; the lock starts again and tells. Returns the controller that goes on."""
    lock = controller.lock
    lock_id = lock.state["enrolment"]["lock_id"]
    lock.travel = 20.0
    answers = []
    thread = threading.Thread(target=lambda: answers.append(guest.move(lock_id)))
    thread.start()
    until(lambda: lock.state["under_way"] is not None)
    controller.stop()
    check("the backend sees that it is gone",
          until(lambda: landlord.ask("GET", f"/v1/locks/{lock_id}")[1]["online"]["value"] is False))
    word = guest.move(lock_id)
    check("a lock that is away cannot be asked", word == "409 lock-offline", word)
    lock = foreign.Lock(path)
    told = [(event["kind"], event["result"]) for event in map(foreign.payload_of, dict(lock.state["events"]).values())]
    check("after the start it says what was interrupted", told[-2:] == [("boot", "ok"), ("jammed", "interrupted")],
          told)
    controller = start(lock)
    thread.join()
    check("the command that it cost has failed", answers == ["200 failed jammed"], answers)
    check("the chain goes on", until(lambda: not lock.state["events"]), lock.state["events"])
    word = guest.move(lock_id)
    check("and the door opens again", word == "200 confirmed", word)
    return controller


def main():
    """Runs what was asked for."""
    if sys.argv[1:] == ["vectors"]:
        for part in (check_tokens, check_chain, check_keysets, check_documents, check_enrolment):
            part()
    elif len(sys.argv) == 3 and sys.argv[1] == "story":
        with tempfile.TemporaryDirectory() as folder:
            story(json.loads(pathlib.Path(sys.argv[2]).read_text()), folder)
    else:
        sys.exit(__doc__)
    print(f"{len(FAILED)} failed" if FAILED else "all good")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
