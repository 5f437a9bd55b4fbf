"""Checks an export of an access log as an auditor would who has read `docs/EVIDENCE.md` and the specifications that it names.

Shares no code with the program: RFC 6962 for the tree, c2sp.org/signed-note and c2sp.org/tlog-checkpoint for what is signed.

    log.py EXPORT KEY...     prints one line for each log, or what is wrong, and then fails
"""

import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIELDS = [
    "recorded_at", "occurred_at", "kind", "outcome", "reason", "property_id", "unit_id", "lock_id", "person_id", "actor_id",
    "grant_id", "attempt_id",
]

# Without its salt an entry names nobody.
WHO = ["person_id", "actor_id", "grant_id", "attempt_id"]
WHAT = ["reason", "property_id", "unit_id", "lock_id", "detail"]


class Wrong(Exception):
    """The export cannot be believed."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def opened(note, key):
    """Size and root in a note that `key` has signed."""
    name, key_id, encoded = key.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    if raw[0] != 1 or sha256(name.encode(), b"\n", raw)[:4].hex() != key_id:
        raise Wrong("this is no key of notes")
    text, signatures = note.rsplit("\n\n", 1)
    for line in signatures.removesuffix("\n").split("\n"):
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        if dash == "\u2014" and signer == name and signature[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[4:], (text + "\n").encode())
            except InvalidSignature:
                raise Wrong("the checkpoint was changed") from None
            origin, size, root = text.split("\n")[:3]
            if origin != name:
                raise Wrong("the checkpoint is of another log")
            return int(size), base64.b64decode(root, validate=True)
    raise Wrong("the checkpoint is not signed by this key")


def root_of(hashes):
    """The Merkle tree hash of leaves whose hashes these are, by the definition of RFC 6962, 2.1."""
    if not hashes:
        return sha256()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\1", root_of(hashes[:split]), root_of(hashes[split:]))


def climbed(index, size, node, path):
    """The root to which the path leads from the leaf (RFC 9162, 2.1.3.2)."""
    last = size - 1
    for sibling in path:
        if last == 0:
            raise Wrong("the path is too long")
        if index % 2 or index == last:
            node = sha256(b"\1", sibling, node)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            node = sha256(b"\1", node, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Wrong("the path is too short")
    return node


def leaf_of(entry, organization):
    detail = entry["detail"]
    if detail is not None:
        detail = json.dumps(detail, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    fields = [organization, str(entry["seq"]), *(entry[field] for field in FIELDS), detail]
    said = b"doorward-log-entry-1\0"
    for field in fields:
        said += b"\xff\xff\xff\xff" if field is None else len(field.encode()).to_bytes(4, "big") + field.encode()
    return sha256(bytes.fromhex(entry["salt"]), said)


def checked(lines, keys):
    """What holds of the logs whose lines these are."""
    logs = []
    for line in map(json.loads, lines):
        if line["what"] == "log-checkpoint":
            name = line["key"].split("+")[0]
            key = next((key for key in keys if key.startswith(name + "+")), None)
            if key is None:
                raise Wrong(f"no key of {name}")
            size, root = opened(line["checkpoint"], key)
            logs.append({"head": line, "size": size, "root": root, "nodes": [], "proven": 0, "sealed": 0,
                         "claimed": 0, "last": 0, "forgotten": set(), "named": set()})
        elif line["what"] in ("log-entry", "log-leaf"):
            take(logs[-1], line)
    for log in logs:
        if log["head"]["is_whole"]:
            if len(log["nodes"]) != log["size"]:
                raise Wrong(f"entry {len(log['nodes']) + 1} is missing")
            if root_of(log["nodes"]) != log["root"]:
                raise Wrong("the entries together are not those that were signed")
            if log["forgotten"] - log["named"]:
                raise Wrong(f"entry {min(log['forgotten'] - log['named'])} was emptied")
    return logs


def take(log, line):
    seq = line["seq"]
    if seq <= log["last"] or seq > log["size"]:
        raise Wrong(f"entry {seq} was added")
    if log["head"]["is_whole"] and seq != log["last"] + 1:
        raise Wrong(f"entry {log['last'] + 1} is missing")
    log["last"] = seq
    if line["leaf"] in (None, "00" * 32):
        raise Wrong(f"entry {seq} is missing")
    leaf = bytes.fromhex(line["leaf"])
    node = sha256(b"\0", leaf, line["staff_sees"].encode())
    if log["head"]["is_whole"]:
        if base64.b64decode(line["node"], validate=True) != node:
            raise Wrong(f"entry {seq} was changed")
        log["nodes"].append(node)
    else:
        path = [base64.b64decode(step, validate=True) for step in line["proof"]]
        if climbed(seq - 1, log["size"], node, path) != log["root"]:
            raise Wrong(f"entry {seq} was changed")
    if line["what"] == "log-leaf":
        if log["head"]["is_whole"] and line["staff_sees"] != "nothing":
            raise Wrong(f"entry {seq} was hidden")
        log["sealed"] += 1
    elif line["salt"] is not None:
        if leaf_of(line, log["head"]["organization_id"]) != leaf:
            raise Wrong(f"entry {seq} was changed")
        log["proven"] += 1
        if line["kind"] == "entries-forgotten":
            log["named"].update(number for first, last in line["detail"]["ranges"] for number in range(first, last + 1))
    elif any(line[who] is not None for who in WHO):
        raise Wrong(f"entry {seq} was changed")
    elif line["kind"] == "forgotten" and all(line[field] is None for field in WHAT):
        log["forgotten"].add(seq)
    else:
        log["claimed"] += 1


def main():
    export, *keys = sys.argv[1:]
    try:
        with open(export, encoding="utf-8") as lines:
            for log in checked(lines, keys):
                print(log["size"], log["head"]["is_whole"], log["proven"], log["sealed"] + len(log["forgotten"]),
                      log["claimed"])
    except Wrong as wrong:
        sys.exit(str(wrong))


if __name__ == "__main__":
    main()
