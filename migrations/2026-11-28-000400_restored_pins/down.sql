ALTER TABLE lock_pins DROP COLUMN restored;
