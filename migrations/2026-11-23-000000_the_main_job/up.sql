-- The main job: who there is, which doors, who may open them, what was asked and what happened.
-- One text for SQLite and Postgres: TEXT, BIGINT, BOOLEAN and TEXT-encoded digests only; times are milliseconds since
-- the epoch in columns named `_at_ms`; digests are lower-case hexadecimal SHA-256 of random secrets.

CREATE TABLE organizations (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- The end of each organization's access log. Every entry begins by updating this row, which numbers entries without
-- gaps and makes the last stored time known to whoever decides (a clock behind it issues nothing).
CREATE TABLE access_log_heads (
    organization_id TEXT PRIMARY KEY NOT NULL REFERENCES organizations (id),
    last_seq BIGINT NOT NULL CHECK (last_seq >= 0),
    last_at_ms BIGINT NOT NULL
);

CREATE TABLE persons (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE memberships (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'manager', 'tenant', 'guest')),
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    PRIMARY KEY (organization_id, person_id)
);
CREATE INDEX memberships_of_person ON memberships (person_id);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    person_id TEXT NOT NULL REFERENCES persons (id),
    access_digest TEXT NOT NULL UNIQUE,
    access_ends_at_ms BIGINT NOT NULL,
    refresh_digest TEXT NOT NULL UNIQUE,
    refresh_ends_at_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    end_reason TEXT
);
CREATE INDEX sessions_of_person ON sessions (person_id);
CREATE INDEX sessions_by_end ON sessions (refresh_ends_at_ms);

-- Refresh tokens that were exchanged already: one that comes again was stolen, or its thief was faster.
CREATE TABLE spent_refresh_tokens (
    digest TEXT PRIMARY KEY NOT NULL,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
);
CREATE INDEX spent_refresh_tokens_of_session ON spent_refresh_tokens (session_id);

-- Failed sign-ins by account and by address; `subject` is a digest, so that no address is kept.
CREATE TABLE sign_in_failures (
    subject TEXT PRIMARY KEY NOT NULL,
    failures BIGINT NOT NULL,
    last_at_ms BIGINT NOT NULL
);
CREATE INDEX sign_in_failures_by_age ON sign_in_failures (last_at_ms);

CREATE TABLE properties (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX properties_of_organization ON properties (organization_id, id);

CREATE TABLE units (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    property_id TEXT NOT NULL REFERENCES properties (id),
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    UNIQUE (property_id, name)
);

CREATE TABLE tenancies (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    unit_id TEXT NOT NULL REFERENCES units (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    starts_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    CHECK (ends_at_ms IS NULL OR ends_at_ms >= starts_at_ms)
);
CREATE INDEX tenancies_of_person ON tenancies (person_id, unit_id);
CREATE INDEX tenancies_of_unit ON tenancies (unit_id);

-- `secret_digest` is of the secret in the link; the tenancy columns are what the invited person gets with it.
CREATE TABLE invitations (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'manager', 'tenant', 'guest')),
    unit_id TEXT REFERENCES units (id),
    tenancy_starts_at_ms BIGINT,
    tenancy_ends_at_ms BIGINT,
    secret_digest TEXT NOT NULL UNIQUE,
    invited_by TEXT NOT NULL REFERENCES persons (id),
    created_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    accepted_at_ms BIGINT,
    accepted_by TEXT REFERENCES persons (id),
    CHECK ((unit_id IS NULL) = (tenancy_starts_at_ms IS NULL))
);
CREATE INDEX invitations_of_organization ON invitations (organization_id, email);

-- A lock: what its landlord says of it, how it was enrolled, and the end of its event chain as far as it is stored.
-- `counter` is the last one issued in an unlock token, without the issuer's generation.
CREATE TABLE locks (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    property_id TEXT NOT NULL REFERENCES properties (id),
    unit_id TEXT REFERENCES units (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('unclaimed', 'enrolled', 'retired')),
    created_at_ms BIGINT NOT NULL,
    retired_at_ms BIGINT,
    claim_digest TEXT UNIQUE,
    claim_ends_at_ms BIGINT,
    enrolled_at_ms BIGINT,
    public_key TEXT,
    broker_digest TEXT,
    model TEXT,
    firmware TEXT,
    counter BIGINT NOT NULL CHECK (counter >= 0),
    last_issued_at_ms BIGINT NOT NULL,
    chain TEXT,
    chain_seq BIGINT NOT NULL CHECK (chain_seq >= -1),
    chain_head TEXT,
    quarantined_at_ms BIGINT,
    CHECK (state <> 'enrolled' OR (public_key IS NOT NULL AND broker_digest IS NOT NULL))
);
CREATE INDEX locks_of_property ON locks (property_id, id);
CREATE INDEX locks_of_organization ON locks (organization_id, id);
CREATE INDEX locks_of_unit ON locks (unit_id);

-- What each lock last said of itself, each report with the time at which it was observed.
CREATE TABLE lock_reports (
    lock_id TEXT PRIMARY KEY NOT NULL REFERENCES locks (id),
    hello_at_ms BIGINT,
    boot BIGINT,
    mono BIGINT,
    clock TEXT,
    online BOOLEAN,
    online_at_ms BIGINT,
    bolt TEXT,
    bolt_at_ms BIGINT,
    door TEXT,
    door_at_ms BIGINT,
    battery BIGINT,
    battery_at_ms BIGINT
);

-- Exactly one of `person_id` and `invitation_id`: a grant to somebody who was invited waits for the invitation.
CREATE TABLE grants (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT REFERENCES persons (id),
    invitation_id TEXT REFERENCES invitations (id),
    given_by TEXT NOT NULL REFERENCES persons (id),
    created_at_ms BIGINT NOT NULL,
    starts_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT,
    schedule TEXT,
    uses_limit BIGINT CHECK (uses_limit > 0),
    uses_taken BIGINT NOT NULL DEFAULT 0 CHECK (uses_taken >= 0),
    revoked_at_ms BIGINT,
    revoked_by TEXT REFERENCES persons (id),
    CHECK ((person_id IS NULL) <> (invitation_id IS NULL)),
    CHECK ((revoked_at_ms IS NULL) = (revoked_by IS NULL)),
    CHECK (ends_at_ms IS NULL OR ends_at_ms > starts_at_ms)
);
CREATE INDEX grants_of_organization ON grants (organization_id, id);
CREATE INDEX grants_of_person ON grants (person_id);
CREATE INDEX grants_of_invitation ON grants (invitation_id);

-- The doors of a grant.
CREATE TABLE grant_locks (
    grant_id TEXT NOT NULL REFERENCES grants (id),
    lock_id TEXT NOT NULL REFERENCES locks (id),
    PRIMARY KEY (grant_id, lock_id)
);
CREATE INDEX grant_locks_of_lock ON grant_locks (lock_id, grant_id);

CREATE TABLE attempts (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    lock_id TEXT NOT NULL REFERENCES locks (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    action TEXT NOT NULL CHECK (action IN ('unlock', 'lock')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'refused', 'expired', 'failed')),
    reason TEXT,
    grant_id TEXT REFERENCES grants (id),
    tenancy_id TEXT REFERENCES tenancies (id),
    -- Set where a token was issued: what the lock's event names, and until when the lock may act on it.
    jti TEXT UNIQUE,
    counter BIGINT,
    deadline_at_ms BIGINT,
    requested_at_ms BIGINT NOT NULL,
    relayed_at_ms BIGINT,
    -- When the lock said that it had accepted the token and was about to move its bolt.
    accepted_at_ms BIGINT,
    confirmed_at_ms BIGINT,
    -- Whether one of the grant's counted uses is taken by this attempt.
    takes_use BOOLEAN NOT NULL DEFAULT FALSE,
    CHECK ((jti IS NULL) = (deadline_at_ms IS NULL))
);
CREATE INDEX attempts_of_lock ON attempts (lock_id, status);
CREATE INDEX attempts_by_deadline ON attempts (status, deadline_at_ms);

-- Every event of every lock, once. `token` is the event as the lock signed it.
CREATE TABLE lock_events (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL CHECK (seq >= 0),
    hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    received_at_ms BIGINT NOT NULL,
    PRIMARY KEY (lock_id, chain, seq)
);

-- The access log: numbered per organization without gaps, never changed. Ids of persons and things stand without
-- foreign keys where the log must outlive them.
CREATE TABLE access_log (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    seq BIGINT NOT NULL CHECK (seq > 0),
    recorded_at_ms BIGINT NOT NULL,
    occurred_at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'refused', 'failed')),
    reason TEXT,
    property_id TEXT,
    unit_id TEXT,
    lock_id TEXT,
    person_id TEXT,
    actor_id TEXT,
    grant_id TEXT,
    attempt_id TEXT,
    detail TEXT,
    PRIMARY KEY (organization_id, seq)
);
CREATE INDEX access_log_of_lock ON access_log (organization_id, lock_id, seq);
CREATE INDEX access_log_of_person ON access_log (organization_id, person_id, seq);
CREATE INDEX access_log_of_property ON access_log (organization_id, property_id, seq);

-- Answers kept for requests that may come twice. `subject` is a digest of who asked and of their key; `answer` is
-- sealed with a key that only the asker can make again.
CREATE TABLE idempotent_requests (
    subject TEXT PRIMARY KEY NOT NULL,
    request_digest TEXT NOT NULL,
    answer TEXT,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_at_ms);

-- Single facts about this installation: `generation`, `issuer`.
CREATE TABLE installation (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
