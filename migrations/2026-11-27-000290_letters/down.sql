DROP TABLE unwanted_letters;
DROP INDEX notices_to_weigh;
ALTER TABLE notices DROP COLUMN weighed_at_ms;
DROP TABLE letters;
