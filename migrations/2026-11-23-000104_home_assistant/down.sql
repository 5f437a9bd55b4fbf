ALTER TABLE lock_reports DROP COLUMN jammed_at_ms;
DROP TABLE leases;

DELETE FROM memberships WHERE role = 'service';
CREATE TABLE memberships_without_services (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'manager', 'tenant', 'guest')),
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    PRIMARY KEY (organization_id, person_id)
);
INSERT INTO memberships_without_services (organization_id, person_id, role, created_at_ms, ended_at_ms)
    SELECT organization_id, person_id, role, created_at_ms, ended_at_ms FROM memberships;
DROP TABLE memberships;
ALTER TABLE memberships_without_services RENAME TO memberships;
CREATE INDEX memberships_of_person ON memberships (person_id);
