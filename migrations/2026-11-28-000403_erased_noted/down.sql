DROP INDEX enrolments_noted;
DROP INDEX persons_noted;
ALTER TABLE persons DROP COLUMN erased_at_ms;
