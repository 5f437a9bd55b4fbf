-- Who sees which entry of the access log, looks at what is hidden, and forgetting.

-- What staff see of an entry: all, what happened without by whom, or nothing. Decided when it is written down.
ALTER TABLE access_log ADD COLUMN staff_sees TEXT NOT NULL DEFAULT 'all'
    CHECK (staff_sees IN ('all', 'what', 'nothing'));
-- 16 random bytes, and SHA-256 of them and of the entry, in hexadecimal. A forgotten entry keeps the second alone; one
-- from before has neither.
ALTER TABLE access_log ADD COLUMN salt TEXT;
ALTER TABLE access_log ADD COLUMN leaf TEXT;
CREATE INDEX access_log_by_age ON access_log (property_id, recorded_at_ms) WHERE kind <> 'forgotten';
CREATE INDEX access_log_of_attempt ON access_log (attempt_id);

-- Who sees an entry beside staff and the person whom it concerns.
CREATE TABLE access_log_witnesses (
    organization_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    person_id TEXT NOT NULL REFERENCES persons (id),
    sees TEXT NOT NULL CHECK (sees IN ('all', 'what')),
    PRIMARY KEY (organization_id, person_id, seq),
    FOREIGN KEY (organization_id, seq) REFERENCES access_log (organization_id, seq)
);
CREATE INDEX access_log_witnesses_of_entry ON access_log_witnesses (organization_id, seq);

-- Entries from before: what stands at the door of a unit while somebody lives there is hidden, unless it came of a grant of
-- the landlord's to somebody else, or of somebody who works there.
UPDATE access_log SET staff_sees = CASE WHEN kind IN ('jammed', 'alarm') THEN 'what' ELSE 'nothing' END
    WHERE lock_id IS NOT NULL
    AND kind IN ('unlock-requested', 'lock-requested', 'request-ended', 'unlocked', 'locked', 'denied', 'jammed',
                 'lock-event', 'alarm')
    AND EXISTS (
        SELECT 1 FROM tenancies WHERE tenancies.unit_id = access_log.unit_id
        AND tenancies.starts_at_ms <= access_log.occurred_at_ms
        AND (tenancies.ends_at_ms IS NULL OR tenancies.ends_at_ms > access_log.occurred_at_ms)
    )
    AND (grant_id IS NULL OR EXISTS (
        SELECT 1 FROM tenancies WHERE tenancies.unit_id = access_log.unit_id
        AND tenancies.person_id = access_log.person_id
        AND tenancies.starts_at_ms <= access_log.occurred_at_ms
        AND (tenancies.ends_at_ms IS NULL OR tenancies.ends_at_ms > access_log.occurred_at_ms)
    ))
    AND NOT EXISTS (
        SELECT 1 FROM memberships WHERE memberships.organization_id = access_log.organization_id
        AND memberships.person_id = access_log.person_id
        AND memberships.role IN ('owner', 'manager', 'desk', 'viewer', 'vendor', 'service')
        AND NOT EXISTS (
            SELECT 1 FROM tenancies WHERE tenancies.unit_id = access_log.unit_id
            AND tenancies.person_id = access_log.person_id
        )
    );

-- The rule of a property that has one of its own.
CREATE TABLE privacy_rules (
    property_id TEXT PRIMARY KEY NOT NULL REFERENCES properties (id),
    -- Since when the landlord sees everything at the doors of units that are lived in; NULL where they do not.
    landlord_sees_since_ms BIGINT,
    retention_days BIGINT NOT NULL CHECK (retention_days > 0),
    retention_reason TEXT,
    -- What was recorded before this time was promised a shorter one.
    promised_days BIGINT CHECK (promised_days > 0),
    promised_until_ms BIGINT,
    changed_at_ms BIGINT NOT NULL,
    CHECK ((promised_days IS NULL) = (promised_until_ms IS NULL))
);

-- Parts of the log that were opened to somebody for a while.
CREATE TABLE looks (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id TEXT NOT NULL REFERENCES persons (id),
    unit_id TEXT NOT NULL REFERENCES units (id),
    lock_id TEXT REFERENCES locks (id),
    from_at_ms BIGINT NOT NULL,
    to_at_ms BIGINT NOT NULL,
    reason TEXT NOT NULL,
    opened_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT,
    CHECK (to_at_ms > from_at_ms),
    CHECK (ends_at_ms > opened_at_ms)
);
CREATE INDEX looks_of_organization ON looks (organization_id, id);
CREATE INDEX looks_of_person ON looks (person_id, ends_at_ms);
CREATE INDEX looks_by_end ON looks (ends_at_ms);

-- Whom a look concerns: who lived there in the time that is looked at.
CREATE TABLE look_concerns (
    look_id TEXT NOT NULL REFERENCES looks (id) ON DELETE CASCADE,
    person_id TEXT NOT NULL REFERENCES persons (id),
    PRIMARY KEY (person_id, look_id)
);
CREATE INDEX look_concerns_of_look ON look_concerns (look_id);

-- What a lock signed goes with its time; the hashes of its two forms stay, by which the chain goes on being verified.
ALTER TABLE lock_events ADD COLUMN twin_hash TEXT;
ALTER TABLE lock_events ADD COLUMN forgotten BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX lock_events_by_age ON lock_events (lock_id, received_at_ms) WHERE NOT forgotten;
CREATE INDEX attempts_by_age ON attempts (lock_id, requested_at_ms);

CREATE INDEX notices_by_age ON notices (told_at_ms);
