-- The version with which a lock's PINs ended in a restored copy, until the lock has said what it holds.
ALTER TABLE lock_pins ADD COLUMN restored BIGINT;
