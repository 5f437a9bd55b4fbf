-- What showing locks to a Home Assistant needs: accounts of programs, who shows, and since when a bolt is stuck.

-- A program's account belongs to an organization in the role `service`. The table is rebuilt for its check.
CREATE TABLE memberships_with_services (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'manager', 'tenant', 'guest', 'service')),
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    PRIMARY KEY (organization_id, person_id)
);
INSERT INTO memberships_with_services (organization_id, person_id, role, created_at_ms, ended_at_ms)
    SELECT organization_id, person_id, role, created_at_ms, ended_at_ms FROM memberships;
DROP TABLE memberships;
ALTER TABLE memberships_with_services RENAME TO memberships;
CREATE INDEX memberships_of_person ON memberships (person_id);

-- Work that one node does for all, and which one does it until when; nobody where that has passed.
CREATE TABLE leases (
    name TEXT PRIMARY KEY NOT NULL,
    holder TEXT NOT NULL,
    ends_at_ms BIGINT NOT NULL
);
INSERT INTO leases (name, holder, ends_at_ms) VALUES ('home-assistant', '', 0);

-- Since when the bolt is stuck between its ends; NULL once it is known to be at one of them.
ALTER TABLE lock_reports ADD COLUMN jammed_at_ms BIGINT;
