DROP INDEX grants_noted_used;
ALTER TABLE grants DROP COLUMN used_at_ms;
