DROP TABLE enrolments;
ALTER TABLE lock_reports DROP COLUMN head_seq;
ALTER TABLE lock_reports DROP COLUMN head_chain;
ALTER TABLE locks DROP COLUMN leaving_at_ms;
ALTER TABLE locks DROP COLUMN enrolments;
