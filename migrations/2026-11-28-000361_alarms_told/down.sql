ALTER TABLE lock_reports DROP COLUMN battery_low;
DROP TABLE alarms_told;
