-- Offline passes: phones, who may hold passes, how long they count, and how they are taken back.

-- As what its holder comes: a pass of a vendor lives shorter than a guest's.
ALTER TABLE grants ADD COLUMN role TEXT NOT NULL DEFAULT 'guest' CHECK (role IN ('guest', 'vendor'));

-- The keys to which passes are bound. A removed one stays, so that it never comes back: it may stand in revocations.
CREATE TABLE phones (
    id TEXT PRIMARY KEY NOT NULL,
    person_id TEXT NOT NULL REFERENCES persons (id),
    name TEXT NOT NULL,
    public_key TEXT NOT NULL,
    thumbprint TEXT NOT NULL UNIQUE,
    registered_at_ms BIGINT NOT NULL,
    removed_at_ms BIGINT
);
CREATE INDEX phones_of_person ON phones (person_id);

-- Until when the passes that a phone holds by a right may move the bolt of a lock. One row however often it is renewed.
-- `counts_until_ms` is later where a lock without any clock could still take it for good.
CREATE TABLE passes (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    source TEXT NOT NULL,
    phone_id TEXT NOT NULL REFERENCES phones (id),
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    ends_at_ms BIGINT NOT NULL,
    counts_until_ms BIGINT NOT NULL,
    PRIMARY KEY (lock_id, source, phone_id)
);
CREATE INDEX passes_of_source ON passes (source);
CREATE INDEX passes_of_phone ON passes (phone_id);
CREATE INDEX passes_by_end ON passes (counts_until_ms);

-- Openings by pass of a counted grant, as the lock has reported them: it counts too.
CREATE TABLE pass_uses (
    grant_id TEXT NOT NULL REFERENCES grants (id),
    lock_id TEXT NOT NULL REFERENCES locks (id),
    taken BIGINT NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (grant_id, lock_id)
);

-- What a lock has to know of passes that are void: the grant, the tenancy or the phone (by its thumbprint). An entry that
-- is not listed is covered by `min_rev` of the epoch in which it came.
CREATE TABLE revocations (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    name TEXT NOT NULL,
    ends_at_ms BIGINT NOT NULL,
    leaves_at_ms BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    listed BOOLEAN NOT NULL,
    PRIMARY KEY (lock_id, name)
);
CREATE INDEX revocations_of_name ON revocations (name);

-- The epoch of the lock's revocations, from 1; passes and tokens with a `rev` below `min_rev` are void; the greatest `rev`
-- of a pass that was issued for the lock.
ALTER TABLE locks ADD COLUMN revocations_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE locks ADD COLUMN min_rev BIGINT NOT NULL DEFAULT 0;
ALTER TABLE locks ADD COLUMN pass_rev BIGINT NOT NULL DEFAULT 0;

-- The epoch of the revocations that the lock is known to hold, and the number of its newest event when that was so.
ALTER TABLE lock_reports ADD COLUMN revocations BIGINT;
ALTER TABLE lock_reports ADD COLUMN revocations_seq BIGINT;

-- `rev` is a time now.
DELETE FROM installation WHERE name = 'revision';
