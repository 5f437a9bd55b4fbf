-- Lockdowns: until a time nobody is let into a property or a part of it.

CREATE TABLE lockdowns (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    property_id TEXT NOT NULL REFERENCES properties (id),
    -- Which doors, and whom not: JSON.
    part TEXT NOT NULL,
    exceptions TEXT NOT NULL,
    reason TEXT NOT NULL,
    begun_by TEXT NOT NULL REFERENCES persons (id),
    begun_at_ms BIGINT NOT NULL,
    until_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    -- Who ended it early.
    ended_by TEXT REFERENCES persons (id),
    CHECK (ended_by IS NULL OR ended_at_ms IS NOT NULL)
);
-- Every decision at a door asks for those of its property that have not ended.
CREATE INDEX lockdowns_open ON lockdowns (property_id) WHERE ended_at_ms IS NULL;

-- Whom lockdowns of a property except under a name.
CREATE TABLE lockdown_lists (
    property_id TEXT NOT NULL REFERENCES properties (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- The person and the grant ids: JSON arrays.
    person_ids TEXT NOT NULL,
    grant_ids TEXT NOT NULL,
    PRIMARY KEY (property_id, name)
);

-- What a lock is to hold of lockdowns: its newest document.
CREATE TABLE lock_lockdowns (
    lock_id TEXT PRIMARY KEY NOT NULL REFERENCES locks (id),
    epoch BIGINT NOT NULL CHECK (epoch > 0),
    -- JSON: until when, in seconds, and the names that are excepted.
    holds TEXT NOT NULL,
    -- When the last of it ends; 0 where nothing holds.
    ends_at_ms BIGINT NOT NULL,
    said_at_ms BIGINT NOT NULL
);
CREATE INDEX lock_lockdowns_open ON lock_lockdowns (ends_at_ms);

-- Which of it the lock is known to hold; null where it has not said, or knows nothing of lockdowns.
ALTER TABLE lock_reports ADD COLUMN lockdown BIGINT;
ALTER TABLE lock_reports ADD COLUMN lockdown_seq BIGINT;
