-- The version of the keyset that each lock is known to hold: from its hellos, and its events of having taken one.
ALTER TABLE lock_reports ADD COLUMN keyset BIGINT CHECK (keyset >= 0);

-- It is with the signing keys now, which several nodes share.
DELETE FROM installation WHERE name = 'keyset-version';
