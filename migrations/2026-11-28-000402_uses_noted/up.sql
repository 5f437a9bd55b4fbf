-- When a counted use of a grant was taken last: how many are taken is noted outside the database, too.
ALTER TABLE grants ADD COLUMN used_at_ms BIGINT;
CREATE INDEX grants_noted_used ON grants (used_at_ms);
