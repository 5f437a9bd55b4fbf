"""Messages of the protocol between Doorward and a lock: bytes, claims, keys, and the checks that each has to pass.

Written from docs/PROTOCOL.md alone, and without a lock's memory: everything that a decision needs is handed in.
"""
import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Optional

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

MAX_MESSAGE = 4096
MAX_HEADER = 512


class Refused(Exception):
    """A message that the lock does not follow: the word for it, and the node that a good signature named."""

    def __init__(self, word, node="any"):
        super().__init__(word)
        self.word, self.node = word, node


# Bytes ------------------------------------------------------------------------------------------------------------

def b64(data):
    """The base64url text of some bytes, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    """The bytes of a strict base64url text; anything that `b64` would not write is a ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise ValueError("bits left over in the last character")
    return data


def digest(message):
    """The hash of a message: SHA-256 over its compact form, as base64url."""
    return b64(hashlib.sha256(message.encode()).digest())


def strict_json(data):
    """What a header or payload says, in the narrow JSON of the protocol; anything else is a ValueError."""
    if any(byte < 0x20 or byte > 0x7E or byte == 0x5C for byte in data):
        raise ValueError("a byte that may not stand here")

    def members(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member twice")
        return dict(pairs)

    def number(digits):
        if digits.startswith("-") or int(digits) >= 2 ** 53:
            raise ValueError("a number out of bounds")
        return int(digits)

    def never(_):
        raise ValueError("not an integer")

    try:
        return json.loads(data.decode("ascii"), object_pairs_hook=members, parse_int=number, parse_float=never,
                          parse_constant=never)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


# What claims look like --------------------------------------------------------------------------------------------

def whole(value):
    """Whether it is a number; `strict_json` lets no others in than those of the protocol."""
    return type(value) is int


def text_of(limit):
    """Whether it is a text of at most so many characters."""
    return lambda value: isinstance(value, str) and len(value) <= limit


def octets(count):
    """Whether it is so many bytes as base64url."""
    def holds(value):
        try:
            return isinstance(value, str) and len(unb64(value)) == count
        except ValueError:
            return False
    return holds


def one_of(*words):
    """Whether it is one of these words."""
    return lambda value: isinstance(value, str) and value in words


def shaped(**shape):
    """Whether it is an object with exactly these members; a name that ends with `_` is an optional one."""
    rules = {name.rstrip("_"): rule for name, rule in shape.items()}
    needed = {name for name in shape if not name.endswith("_")}
    return lambda value: (isinstance(value, dict) and needed <= value.keys() <= rules.keys()
                          and all(rules[name](member) for name, member in value.items()))


def is_node(value):
    """Whether it is the name of a node, and so nothing that could lead to another topic."""
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9-]{1,32}", value) is not None


def is_jwk(value):
    """Whether it is the public half of a P-256 key, a point on the curve."""
    try:
        return IS_JWK_SHAPE(value) and bool(public_key(value))
    except ValueError:
        return False


def is_key(value):
    """Whether it is a key as a keyset lists it."""
    return (shaped(kid=text_of(64), alg=one_of("ES256"), use=one_of("unlock", "pass", "doc", "ack"), nbf=whole,
                   exp=whole, jwk=is_jwk)(value)
            and value["kid"] == thumbprint(value["jwk"]) and value["nbf"] <= value["exp"])


def is_keys(value):
    """Whether it is the list of keys of a keyset."""
    return (isinstance(value, list) and len(value) <= 8 and all(map(is_key, value))
            and len({key["kid"] for key in value}) == len(value))


def is_holds(value):
    """Whether it is the list of what a lockdown holds."""
    is_hold = shaped(until=lambda until: whole(until) and until >= 1, **{"except": lambda names: (
        isinstance(names, list) and len(names) <= 48 and all(map(text_of(64), names)))})
    return isinstance(value, list) and len(value) <= 4 and all(map(is_hold, value))


IS_JWK_SHAPE = shaped(kty=one_of("EC"), crv=one_of("P-256"), x=octets(32), y=octets(32))
TO_ALL = {"iss": text_of(128), "org": text_of(64), "aud": text_of(64)}

# Every type that goes to a lock: the use of the key that signs it, and the claims.
TYPES = {
    "unlock+jwt": ("unlock", shaped(
        **TO_ALL, ver=whole, sub=text_of(64), gid=text_of(64), act=one_of("unlock", "lock"), jti=octets(16), iat=whole,
        exp=whole, ctr=whole, lt_=shaped(boot=whole, dl=whole), rev=whole, node=is_node)),
    "keyset+jwt": ("root", shaped(
        iss=text_of(128), version=lambda value: whole(value) and value >= 1, keys=is_keys, min_rev=whole)),
    "ack+jwt": ("ack", shaped(**TO_ALL, chain=octets(16), seq=whole, head=octets(32))),
    "resend+jwt": ("ack", shaped(**TO_ALL, **{"chain": octets(16), "from": whole, "to": whole})),
    "time+jwt": ("doc", shaped(**TO_ALL, nonce=octets(16), t=whole)),
    "revocations+jwt": ("doc", shaped(
        **TO_ALL, epoch=lambda value: whole(value) and value >= 1, min_rev=whole,
        revoked=lambda value: isinstance(value, list) and len(value) <= 256 and all(map(text_of(64), value)))),
    "lockdown+jwt": ("doc", shaped(**TO_ALL, epoch=lambda value: whole(value) and value >= 1, iat=whole, holds=is_holds)),
    "release+jwt": ("doc", shaped(**TO_ALL, iat=whole, exp=whole, jti=octets(16))),
}


# Keys and signatures ----------------------------------------------------------------------------------------------

def public_key(jwk):
    """The key that a JWK describes; a point beside the curve is a ValueError."""
    x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def private_key(d):
    """The private key with this number, 32 bytes as base64url."""
    return ec.derive_private_key(int.from_bytes(unb64(d), "big"), ec.SECP256R1())


def jwk_of(key):
    """The public half of a private key as a JWK."""
    point = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}


def thumbprint(jwk):
    """The RFC 7638 thumbprint of a JWK."""
    return digest(json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":")))


def sign(key, typ, kid, claims):
    """A message: header, payload and signature in compact form."""
    def part(members):
        return b64(json.dumps(members, separators=(",", ":")).encode("ascii"))
    body = part({"alg": "ES256", "typ": typ, "kid": kid}) + "." + part(claims)
    r, s = utils.decode_dss_signature(key.sign(body.encode(), ec.ECDSA(SHA256())))
    return body + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def holds(jwk, body, signature):
    """Whether the 64 bytes are this key's signature over the text."""
    if len(signature) != 64:
        return False
    halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        public_key(jwk).verify(utils.encode_dss_signature(*halves), body.encode(), ec.ECDSA(SHA256()))
        return True
    except InvalidSignature:
        return False


# Verifying --------------------------------------------------------------------------------------------------------

@dataclass
class Situation:
    """What a lock knows at the moment in which it judges a message; `now` only where its clock is fresh."""

    boot: int
    mono: int
    now: Optional[int]
    floor: int
    ctr: int
    min_rev: int


def split(message):
    """The three parts of a compact message as bytes, and the text that is signed (check 1)."""
    try:
        text = message.decode("ascii") if isinstance(message, bytes) else message
        if len(text) > MAX_MESSAGE or text.count(".") != 2:
            raise ValueError("not three parts")
        header, payload, signature = map(unb64, text.split("."))
        if len(header) > MAX_HEADER:
            raise ValueError("a header that is too long")
        return header, payload, signature, text.rpartition(".")[0]
    except ValueError as error:
        raise Refused("malformed") from error


def verify(message, enrolment, keys, at):
    """Checks 1 to 10: what every message has to pass. Returns its type and claims."""
    header, payload, signature, body = split(message)
    try:
        header = strict_json(header)
    except ValueError as error:
        raise Refused("bad-header") from error
    if not shaped(alg=text_of(MAX_MESSAGE), typ=text_of(MAX_MESSAGE), kid=text_of(MAX_MESSAGE))(header):
        raise Refused("bad-header")
    if header["alg"] != "ES256":
        raise Refused("bad-alg")
    if header["typ"] not in TYPES:
        raise Refused("bad-typ")
    use, is_exact = TYPES[header["typ"]]
    if use == "root":
        jwk = enrolment["root_key"]
        if header["kid"] != thumbprint(jwk):
            raise Refused("unknown-key")
    else:
        key = next((key for key in keys if key["kid"] == header["kid"] and key["use"] == use), None)
        if key is None:
            raise Refused("unknown-key")
        if not (key["nbf"] <= at.now <= key["exp"] if at.now is not None else at.floor <= key["exp"]):
            raise Refused("key-not-valid")
        jwk = key["jwk"]
    if not holds(jwk, body, signature):
        raise Refused("bad-signature")
    try:
        claims = strict_json(payload)
    except ValueError as error:
        raise Refused("malformed") from error
    if not is_exact(claims):
        raise Refused("malformed")
    node = claims.get("node", "any")
    if claims.get("ver", 1) != 1:
        raise Refused("wrong-version", node)
    for claim, own, word in (("iss", "iss", "wrong-issuer"), ("org", "org", "wrong-organization"),
                             ("aud", "lock_id", "wrong-lock")):
        if claim in claims and claims[claim] != enrolment[own]:
            raise Refused(word, node)
    return header["typ"], claims


def too_late(claims, at):
    """Why the bolt may not begin to move by this token now, or None where it may (check 14)."""
    lt = claims.get("lt")
    of_this_start = lt is not None and lt["boot"] == at.boot
    if (at.now is not None and at.now <= claims["exp"]) or (of_this_start and at.mono <= lt["dl"]):
        return None
    if at.now is not None or of_this_start:
        return "expired"
    return "wrong-boot" if lt is not None else "no-time"


def judge_token(claims, at):
    """Checks 11 to 14, for an unlock token that has passed those before."""
    lt = claims.get("lt")
    if not 1 <= claims["exp"] - claims["iat"] <= 30 or (lt and lt["boot"] == at.boot and lt["dl"] > at.mono + 30):
        raise Refused("bad-lifetime", claims["node"])
    if claims["rev"] < at.min_rev:
        raise Refused("revoked", claims["node"])
    if claims["ctr"] <= at.ctr:
        raise Refused("replayed", claims["node"])
    word = too_late(claims, at)
    if word:
        raise Refused(word, claims["node"])


def cause_of(message):
    """The cause of a refusal: the `jti` where the payload is exactly an unlock token's, signed or not."""
    try:
        claims = strict_json(split(message)[1])
    except (Refused, ValueError):
        return "auto"
    return {"jti": claims["jti"]} if TYPES["unlock+jwt"][1](claims) else "auto"
