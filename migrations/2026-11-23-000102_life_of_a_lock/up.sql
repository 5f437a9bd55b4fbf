-- The life of a lock: which controller it is, those it was before, and one that is leaving.
-- `enrolments` is the number of the present enrolment: 0 before the first, and one more with each, so that nothing that
-- a controller before was given fits the next one.
-- `leaving_at_ms` is set while a controller that said that it leaves may still tell what it holds.
ALTER TABLE locks ADD COLUMN enrolments BIGINT NOT NULL DEFAULT 0 CHECK (enrolments >= 0);
ALTER TABLE locks ADD COLUMN leaving_at_ms BIGINT;
UPDATE locks SET enrolments = 1 WHERE enrolled_at_ms IS NOT NULL;

-- The newest event of which the lock has told in a hello, stored or not.
ALTER TABLE lock_reports ADD COLUMN head_chain TEXT;
ALTER TABLE lock_reports ADD COLUMN head_seq BIGINT;

-- Every controller that a lock ever was, with the key by which its events are verified, and how far its chain is stored
-- once it has ended.
CREATE TABLE enrolments (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    number BIGINT NOT NULL CHECK (number > 0),
    public_key TEXT NOT NULL,
    model TEXT,
    enrolled_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    end_reason TEXT,
    chain TEXT,
    chain_seq BIGINT,
    PRIMARY KEY (lock_id, number),
    CHECK ((ended_at_ms IS NULL) = (end_reason IS NULL))
);
INSERT INTO enrolments (lock_id, number, public_key, model, enrolled_at_ms, ended_at_ms, end_reason, chain, chain_seq)
SELECT id, 1, public_key, model, enrolled_at_ms, retired_at_ms, CASE WHEN retired_at_ms IS NULL THEN NULL ELSE 'retired' END,
       CASE WHEN retired_at_ms IS NULL THEN NULL ELSE chain END,
       CASE WHEN retired_at_ms IS NULL THEN NULL ELSE chain_seq END
FROM locks WHERE enrolled_at_ms IS NOT NULL AND public_key IS NOT NULL;
