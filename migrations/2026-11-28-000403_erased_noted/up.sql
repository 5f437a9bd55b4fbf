-- Who was erased, and which controllers of locks were replaced or released, is noted outside the database, too.
ALTER TABLE persons ADD COLUMN erased_at_ms BIGINT;
CREATE INDEX persons_noted ON persons (erased_at_ms);
CREATE INDEX enrolments_noted ON enrolments (ended_at_ms);
