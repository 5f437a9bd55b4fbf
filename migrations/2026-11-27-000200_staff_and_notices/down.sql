DROP TABLE notices;

ALTER TABLE invitations ADD COLUMN invited_role TEXT NOT NULL DEFAULT 'guest'
    CHECK (invited_role IN ('owner', 'manager', 'tenant', 'guest'));
UPDATE invitations SET invited_role = role WHERE role IN ('owner', 'manager', 'tenant', 'guest');
ALTER TABLE invitations DROP COLUMN role;
ALTER TABLE invitations RENAME COLUMN invited_role TO role;

DELETE FROM memberships WHERE role IN ('desk', 'viewer', 'vendor');
CREATE TABLE memberships_without_staff (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'manager', 'tenant', 'guest', 'service')),
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    PRIMARY KEY (organization_id, person_id)
);
INSERT INTO memberships_without_staff (organization_id, person_id, role, created_at_ms, ended_at_ms)
    SELECT organization_id, person_id, role, created_at_ms, ended_at_ms FROM memberships;
DROP TABLE memberships;
ALTER TABLE memberships_without_staff RENAME TO memberships;
CREATE INDEX memberships_of_person ON memberships (person_id);
