-- API keys of programs, what an organization decides for itself, and what needs a second person.

-- `digest` is of the secret in the key; `scopes` are words with commas between them.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL CHECK (scopes <> ''),
    digest TEXT NOT NULL UNIQUE,
    made_by TEXT NOT NULL REFERENCES persons (id),
    created_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL CHECK (ends_at_ms > created_at_ms),
    last_used_at_ms BIGINT,
    revoked_at_ms BIGINT,
    revoked_by TEXT REFERENCES persons (id),
    CHECK ((revoked_at_ms IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX api_keys_of_person ON api_keys (person_id, id);
CREATE INDEX api_keys_of_maker ON api_keys (organization_id, made_by);

-- One row where an organization has decided anything. A shorter delay counts only once the one before it has passed.
CREATE TABLE organization_rules (
    organization_id TEXT PRIMARY KEY NOT NULL REFERENCES organizations (id),
    two_person_grants BOOLEAN NOT NULL,
    two_person_lockdown BOOLEAN NOT NULL,
    self_grant_delay_hours BIGINT NOT NULL CHECK (self_grant_delay_hours > 0),
    delay_before_hours BIGINT NOT NULL CHECK (delay_before_hours > 0),
    delay_changed_at_ms BIGINT NOT NULL
);

-- What was proposed and waits for a second person, or did; `body` is what is to be done, as JSON.
CREATE TABLE proposals (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    proposed_by TEXT NOT NULL REFERENCES persons (id),
    proposed_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL CHECK (ends_at_ms > proposed_at_ms),
    state TEXT NOT NULL CHECK (state IN ('open', 'confirmed', 'refused')),
    decided_by TEXT REFERENCES persons (id),
    decided_at_ms BIGINT,
    CHECK ((state = 'open') = (decided_by IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_at_ms IS NULL)),
    -- A second person is another one.
    CHECK (state <> 'confirmed' OR decided_by <> proposed_by)
);
CREATE INDEX proposals_of_organization ON proposals (organization_id, id);
