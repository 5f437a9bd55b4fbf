-- How far managers were told of the alarms in each log. A row of its own: the head of a log is for those who write it.
CREATE TABLE alarms_told (
    organization_id TEXT PRIMARY KEY NOT NULL REFERENCES organizations (id),
    told_seq BIGINT NOT NULL
);
-- What is long over is not told now.
INSERT INTO alarms_told (organization_id, told_seq)
SELECT organization_id, last_seq FROM access_log_heads;

-- Whether it was said of the lock's battery that it is low, and it was not charged or replaced since.
ALTER TABLE lock_reports ADD COLUMN battery_low BOOLEAN NOT NULL DEFAULT FALSE;
