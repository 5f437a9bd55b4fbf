ALTER TABLE lock_reports DROP COLUMN lockdown_seq;
ALTER TABLE lock_reports DROP COLUMN lockdown;
DROP TABLE lock_lockdowns;
DROP TABLE lockdown_lists;
DROP TABLE lockdowns;
