-- PINs: which ways in a grant gives, which slots of which locks hold a PIN, what each lock was told of it and what it has
-- confirmed, and which computed codes were given. The digits of a PIN are nowhere: `mac` is HMAC-SHA-256 of slot and
-- digits under a key that the database does not have.

-- The ways in that a grant gives, with commas: `app`, `offline`, `pin`. Grants from before gave only the first.
ALTER TABLE grants ADD COLUMN ways TEXT NOT NULL DEFAULT 'app';

-- What each lock should hold and what it holds. Its row is written only while the row of the lock is held.
CREATE TABLE lock_pins (
    lock_id TEXT PRIMARY KEY NOT NULL REFERENCES locks (id),
    -- The enrolment that this is about; another one's lock holds nothing and has another key.
    enrolment BIGINT NOT NULL,
    -- What it should hold, and what it is known to hold at least.
    version BIGINT NOT NULL CHECK (version >= 0),
    held BIGINT NOT NULL CHECK (held >= 0),
    -- Up to which of its events that is known.
    seen_chain TEXT,
    seen_seq BIGINT NOT NULL,
    -- Versions sent above `held`, as a JSON list in their order.
    sent TEXT NOT NULL,
    -- Tries since it last confirmed something, when to try next, and with which word it last refused.
    tries BIGINT NOT NULL,
    next_try_at_ms BIGINT NOT NULL,
    refusal TEXT,
    boot BIGINT,
    -- Generation of computed codes, since when, and the version by which the lock is told of it.
    codes BIGINT NOT NULL CHECK (codes >= 0),
    codes_since_ms BIGINT NOT NULL,
    codes_version BIGINT NOT NULL,
    -- The zone by which its wall clock goes, the version by which it is told, and when the changes told run out.
    zone TEXT NOT NULL,
    zone_version BIGINT NOT NULL,
    zone_review_at_ms BIGINT NOT NULL,
    -- What the model takes: slots from 1 on, and digits of a PIN.
    slots_limit BIGINT NOT NULL CHECK (slots_limit BETWEEN 0 AND 999),
    digits_least BIGINT NOT NULL,
    digits_most BIGINT NOT NULL,
    CHECK (digits_least BETWEEN 4 AND 10 AND digits_most BETWEEN digits_least AND 10)
);
CREATE INDEX lock_pins_by_review ON lock_pins (zone_review_at_ms);
CREATE INDEX lock_pins_by_try ON lock_pins (next_try_at_ms);

-- PINs in slots, those that were cleared included: an event that comes late names the one that was there.
CREATE TABLE pin_slots (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    slot BIGINT NOT NULL CHECK (slot BETWEEN 1 AND 999),
    -- The version by which the slot was given to this grant.
    given_version BIGINT NOT NULL,
    enrolment BIGINT NOT NULL,
    -- Null where the lock may hold something that the books do not know.
    grant_id TEXT REFERENCES grants (id),
    state TEXT NOT NULL CHECK (state IN ('set', 'clearing', 'cleared')),
    -- The version by which it last changed, and since when it should be so.
    version BIGINT NOT NULL,
    since_at_ms BIGINT NOT NULL,
    -- Whether the lock may know of it.
    told BOOLEAN NOT NULL,
    mac TEXT,
    -- The digits, encrypted for an adapter; null for every other lock, and once the slot is to be cleared.
    sealed TEXT,
    -- The end that the lock is told, exclusive, and when to look at it again.
    ends_at_ms BIGINT NOT NULL,
    review_at_ms BIGINT NOT NULL,
    -- How many digits it has.
    length BIGINT NOT NULL,
    -- How many openings the lock is told, and how many it has reported.
    uses BIGINT,
    openings BIGINT NOT NULL,
    -- The lock's event after which the slot may speak for this grant.
    after_chain TEXT,
    after_seq BIGINT NOT NULL,
    PRIMARY KEY (lock_id, slot, given_version),
    CHECK (state <> 'set' OR (mac IS NOT NULL AND grant_id IS NOT NULL)),
    CHECK (state = 'set' OR sealed IS NULL)
);
CREATE UNIQUE INDEX pin_slots_in_use ON pin_slots (lock_id, slot) WHERE state <> 'cleared';
CREATE INDEX pin_slots_by_version ON pin_slots (lock_id, version);
CREATE INDEX pin_slots_of_grant ON pin_slots (grant_id);
CREATE INDEX pin_slots_by_review ON pin_slots (state, review_at_ms);

-- Computed codes that were given, by what they are computed from.
CREATE TABLE computed_codes (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    enrolment BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    -- Days since 1970-01-01 by the wall clock of the property.
    first_day BIGINT NOT NULL,
    days BIGINT NOT NULL CHECK (days IN (1, 2, 3, 7)),
    serial BIGINT NOT NULL CHECK (serial BETWEEN 0 AND 7),
    grant_id TEXT NOT NULL REFERENCES grants (id),
    given_at_ms BIGINT NOT NULL,
    starts_at_ms BIGINT NOT NULL,
    first_use_before_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    after_chain TEXT,
    after_seq BIGINT NOT NULL,
    PRIMARY KEY (lock_id, enrolment, generation, first_day, days, serial)
);
CREATE INDEX computed_codes_of_grant ON computed_codes (grant_id);

CREATE INDEX tenancies_by_end ON tenancies (ends_at_ms);
