-- What a person is shown of their sessions, and when whoever holds one last proved to be them.
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT 'Unknown device';
-- To the hour: it tells which session is forgotten, not what somebody does all day.
ALTER TABLE sessions ADD COLUMN used_at_ms BIGINT NOT NULL DEFAULT 0;
-- Sessions from before count as not proven.
ALTER TABLE sessions ADD COLUMN proven_at_ms BIGINT NOT NULL DEFAULT 0;
