-- Access that its holder passes on, spare keys that open nothing until they are released, and grants whose terms change.

-- Whether its holder may give access under it, and under which right it hangs itself: a grant or a tenancy, by its
-- identifier. What hangs under another is not passed on any further.
ALTER TABLE grants ADD COLUMN delegable BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE grants ADD COLUMN under TEXT CHECK (under IS NULL OR NOT delegable);

-- How often what was out at locks by it was made void while it went on: part of the name that its passes carry.
ALTER TABLE grants ADD COLUMN round BIGINT NOT NULL DEFAULT 0 CHECK (round >= 0);

-- A spare key: what becomes of an ask that nobody answers, how long there is to answer, for how long a release lasts,
-- and whether the landlord may release what a tenant gave. The four stand there together or not at all.
ALTER TABLE grants ADD COLUMN spare_on_silence TEXT CHECK (spare_on_silence IN ('release', 'refuse'));
ALTER TABLE grants ADD COLUMN spare_answer_minutes BIGINT CHECK (spare_answer_minutes BETWEEN 1 AND 1440);
ALTER TABLE grants ADD COLUMN spare_release_minutes BIGINT CHECK (spare_release_minutes BETWEEN 1 AND 1440);
ALTER TABLE grants ADD COLUMN spare_by_landlord BOOLEAN;
-- The end of the present release, exclusive.
ALTER TABLE grants ADD COLUMN released_until_ms BIGINT
    CHECK (released_until_ms IS NULL OR spare_on_silence IS NOT NULL);

CREATE INDEX grants_under ON grants (under);
CREATE INDEX grants_of_giver ON grants (given_by);
CREATE INDEX grants_by_release ON grants (released_until_ms);

-- Asks for spare keys.
CREATE TABLE spare_asks (
    grant_id TEXT NOT NULL REFERENCES grants (id),
    asked_at_ms BIGINT NOT NULL,
    -- In the words of whoever asks.
    reason TEXT NOT NULL,
    -- When silence becomes the answer.
    answer_by_ms BIGINT NOT NULL,
    answered_at_ms BIGINT,
    -- Null where silence answered.
    answered_by TEXT REFERENCES persons (id),
    answer TEXT CHECK (answer IN ('released', 'refused', 'over')),
    PRIMARY KEY (grant_id, asked_at_ms),
    CHECK ((answer IS NULL) = (answered_at_ms IS NULL))
);
-- Of two who ask at once one has asked.
CREATE UNIQUE INDEX spare_asks_open ON spare_asks (grant_id) WHERE answered_at_ms IS NULL;
CREATE INDEX spare_asks_by_silence ON spare_asks (answered_at_ms, answer_by_ms);

-- Whether tenants may give others access to a shared door.
ALTER TABLE locks ADD COLUMN shareable BOOLEAN NOT NULL DEFAULT TRUE;
