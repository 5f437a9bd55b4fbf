ALTER TABLE sessions DROP COLUMN proven_at_ms;
ALTER TABLE sessions DROP COLUMN used_at_ms;
ALTER TABLE sessions DROP COLUMN device;
