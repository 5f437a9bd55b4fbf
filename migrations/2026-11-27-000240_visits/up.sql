-- Visits of vendors: what the landlord ordered, what those who live there say, and how far it came.
CREATE TABLE visits (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    property_id TEXT NOT NULL REFERENCES properties (id),
    -- The unit that some of its doors are of; null where all are shared.
    unit_id TEXT REFERENCES units (id),
    vendor_name TEXT NOT NULL,
    vendor_company TEXT NOT NULL,
    -- E.164.
    vendor_phone TEXT NOT NULL,
    purpose TEXT NOT NULL,
    starts_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    stay_ms BIGINT NOT NULL CHECK (stay_ms > 0),
    lock_change BOOLEAN NOT NULL,
    ordered_by TEXT NOT NULL REFERENCES persons (id),
    ordered_at_ms BIGINT NOT NULL,
    -- Consent that was passed over.
    emergency_by TEXT REFERENCES persons (id),
    emergency_at_ms BIGINT,
    emergency_reason TEXT,
    -- The code that was told by telephone: SHA-256 of visit and code, until when it counts, how often it may still be wrong.
    code_digest TEXT,
    code_ends_at_ms BIGINT,
    code_tries BIGINT NOT NULL DEFAULT 0,
    let_in_at_ms BIGINT,
    grant_id TEXT REFERENCES grants (id),
    begun_at_ms BIGINT,
    ended_at_ms BIGINT,
    end_reason TEXT CHECK (end_reason IN ('cancelled', 'stay-over', 'window-over')),
    CHECK (ends_at_ms > starts_at_ms),
    CHECK ((emergency_by IS NULL) = (emergency_reason IS NULL)),
    CHECK ((let_in_at_ms IS NULL) = (grant_id IS NULL)),
    CHECK ((ended_at_ms IS NULL) = (end_reason IS NULL))
);
CREATE INDEX visits_of_organization ON visits (organization_id, id);
CREATE INDEX visits_of_unit ON visits (unit_id, id);
CREATE UNIQUE INDEX visits_of_grant ON visits (grant_id);
CREATE INDEX visits_by_end ON visits (ended_at_ms, ends_at_ms);

CREATE TABLE visit_locks (
    visit_id TEXT NOT NULL REFERENCES visits (id),
    lock_id TEXT NOT NULL REFERENCES locks (id),
    PRIMARY KEY (visit_id, lock_id)
);

-- What a person who lives there said last.
CREATE TABLE visit_answers (
    visit_id TEXT NOT NULL REFERENCES visits (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    agrees BOOLEAN NOT NULL,
    answered_at_ms BIGINT NOT NULL,
    PRIMARY KEY (visit_id, person_id)
);
