DROP INDEX tenancies_by_end;
DROP TABLE computed_codes;
DROP TABLE pin_slots;
DROP TABLE lock_pins;
ALTER TABLE grants DROP COLUMN ways;
