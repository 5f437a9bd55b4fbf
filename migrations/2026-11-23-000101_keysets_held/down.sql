ALTER TABLE lock_reports DROP COLUMN keyset;
