-- Lock-outs: what a property has decided about them, who asked, what became of it, and what it costs.

-- One a property; where there is none, nothing was decided. `policy` is a JSON object.
CREATE TABLE lockout_policies (
    property_id TEXT PRIMARY KEY NOT NULL REFERENCES properties (id) ON DELETE CASCADE,
    policy TEXT NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    changed_by TEXT NOT NULL REFERENCES persons (id)
);

-- Somebody who has shown who they are and stands before a door of theirs.
CREATE TABLE lockouts (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    property_id TEXT NOT NULL REFERENCES properties (id),
    unit_id TEXT NOT NULL REFERENCES units (id),
    lock_id TEXT NOT NULL REFERENCES locks (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    tenancy_id TEXT NOT NULL REFERENCES tenancies (id),
    lease_starts_at_ms BIGINT NOT NULL,
    asked_at_ms BIGINT NOT NULL,
    identity TEXT NOT NULL CHECK (identity IN ('session', 'code', 'desk')),
    -- Who of the staff saw them, and what.
    seen_by TEXT REFERENCES persons (id),
    saw TEXT,
    -- The policy as it stood then, and who had decided on it.
    policy TEXT NOT NULL,
    policy_by TEXT REFERENCES persons (id),
    -- How many of the policy's steps have begun, and when to look again.
    begun BIGINT NOT NULL CHECK (begun >= 0),
    next_at_ms BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'denied', 'cancelled', 'lapsed')),
    decided_at_ms BIGINT,
    decided_by TEXT REFERENCES persons (id),
    reason TEXT,
    grant_id TEXT UNIQUE REFERENCES grants (id),
    way_ends_at_ms BIGINT,
    -- When its door was first opened by it, and whether the ledger knows.
    used_at_ms BIGINT,
    booked BOOLEAN NOT NULL DEFAULT FALSE,
    CHECK ((identity = 'desk') = (seen_by IS NOT NULL)),
    CHECK ((seen_by IS NULL) = (saw IS NULL)),
    CHECK ((state = 'open') = (decided_at_ms IS NULL)),
    CHECK ((state = 'approved') = (grant_id IS NOT NULL)),
    CHECK ((grant_id IS NULL) = (way_ends_at_ms IS NULL))
);
CREATE INDEX lockouts_of_organization ON lockouts (organization_id, id);
CREATE INDEX lockouts_of_person ON lockouts (person_id, property_id);
CREATE INDEX lockouts_by_turn ON lockouts (state, next_at_ms);
-- Of two asks at once for one person and door one stands, and the other joins it.
CREATE UNIQUE INDEX lockouts_open ON lockouts (person_id, lock_id) WHERE state = 'open';

-- Somebody who has not shown who they are yet. A row is made for every ask alike, whether or not anybody is meant by it:
-- an answer must not tell. `code_digest` is of the id and the code that went to the address on file.
CREATE TABLE lockout_asks (
    id TEXT PRIMARY KEY NOT NULL,
    code_digest TEXT NOT NULL,
    -- Whether the name and the unit are still to be told, or when the tenancy began.
    by_email BOOLEAN NOT NULL,
    tries BIGINT NOT NULL CHECK (tries >= 0),
    asked_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    -- Who is meant, where anybody is.
    person_id TEXT REFERENCES persons (id),
    unit_id TEXT REFERENCES units (id),
    -- What failures to identify are counted under, as a digest.
    subject TEXT NOT NULL,
    -- After the code was told: the lock-out, and the digest of the secret to follow it by.
    lockout_id TEXT REFERENCES lockouts (id),
    follow_digest TEXT UNIQUE,
    follow_ends_at_ms BIGINT,
    CHECK ((lockout_id IS NULL) = (follow_digest IS NULL)),
    CHECK ((lockout_id IS NULL) = (follow_ends_at_ms IS NULL))
);
CREATE INDEX lockout_asks_by_age ON lockout_asks (asked_at_ms);

-- What lock-outs cost: numbered per organization without gaps, never changed. Below zero is what is not asked for.
CREATE TABLE ledger_lines (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    seq BIGINT NOT NULL CHECK (seq > 0),
    booked_at_ms BIGINT NOT NULL,
    item TEXT NOT NULL CHECK (item IN ('lockout', 'replacement-key', 'correction', 'waiver')),
    lockout_id TEXT NOT NULL REFERENCES lockouts (id),
    property_id TEXT NOT NULL REFERENCES properties (id),
    unit_id TEXT NOT NULL REFERENCES units (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    actor_id TEXT REFERENCES persons (id),
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    rate TEXT,
    -- A line is waived once.
    waives TEXT UNIQUE REFERENCES ledger_lines (id),
    reason TEXT,
    UNIQUE (organization_id, seq),
    CHECK ((item = 'waiver') = (waives IS NOT NULL)),
    CHECK ((item IN ('lockout', 'correction')) = (rate IS NOT NULL))
);
CREATE INDEX ledger_lines_of_person ON ledger_lines (person_id, id);
CREATE INDEX ledger_lines_of_lockout ON ledger_lines (lockout_id);
