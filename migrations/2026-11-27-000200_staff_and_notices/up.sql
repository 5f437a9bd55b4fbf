-- Staff beside managers (a desk, somebody who only looks), vendors as members, and what people are told.

-- The table is rebuilt for its check.
CREATE TABLE memberships_with_staff (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    role TEXT NOT NULL
        CHECK (role IN ('owner', 'manager', 'desk', 'viewer', 'tenant', 'guest', 'vendor', 'service')),
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    PRIMARY KEY (organization_id, person_id)
);
INSERT INTO memberships_with_staff (organization_id, person_id, role, created_at_ms, ended_at_ms)
    SELECT organization_id, person_id, role, created_at_ms, ended_at_ms FROM memberships;
DROP TABLE memberships;
ALTER TABLE memberships_with_staff RENAME TO memberships;
CREATE INDEX memberships_of_person ON memberships (person_id);

-- Grants refer to invitations, so that table stays, and its column is exchanged with its check.
ALTER TABLE invitations ADD COLUMN invited_role TEXT NOT NULL DEFAULT 'guest'
    CHECK (invited_role IN ('owner', 'manager', 'desk', 'viewer', 'tenant', 'guest', 'vendor'));
UPDATE invitations SET invited_role = role;
ALTER TABLE invitations DROP COLUMN role;
ALTER TABLE invitations RENAME COLUMN invited_role TO role;

-- What a person is told of what concerns them: written with what it tells of, in one transaction.
CREATE TABLE notices (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    kind TEXT NOT NULL,
    lock_id TEXT REFERENCES locks (id),
    unit_id TEXT REFERENCES units (id),
    -- Who caused it.
    actor_id TEXT REFERENCES persons (id),
    -- More, as a JSON object; never a secret.
    detail TEXT,
    told_at_ms BIGINT NOT NULL,
    read_at_ms BIGINT
);
CREATE INDEX notices_of_person ON notices (person_id, id);
