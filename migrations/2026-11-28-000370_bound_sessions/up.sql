-- The key to which a session is bound: its tokens are worth nothing without a proof by it. None where it is bound to none.
ALTER TABLE sessions ADD COLUMN key_thumbprint TEXT;
CREATE INDEX sessions_of_key ON sessions (key_thumbprint);

-- Proofs that were used, for as long as they could be used again.
CREATE TABLE used_proofs (
    digest TEXT PRIMARY KEY NOT NULL,
    used_at_ms BIGINT NOT NULL
);
CREATE INDEX used_proofs_by_age ON used_proofs (used_at_ms);

-- Whether people open doors there only in sessions that are bound to a key.
ALTER TABLE organization_rules ADD COLUMN phone_key_required BOOLEAN NOT NULL DEFAULT FALSE;
