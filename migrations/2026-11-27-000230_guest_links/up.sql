-- Links by which a guest comes in without an account: one standing link a grant, its secret kept as a digest, bound to
-- the phones that redeem it.
CREATE TABLE guest_links (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    grant_id TEXT NOT NULL REFERENCES grants (id),
    secret_digest TEXT NOT NULL UNIQUE,
    -- How many phones may redeem it.
    phones_limit BIGINT NOT NULL CHECK (phones_limit > 0),
    starts_at_ms BIGINT NOT NULL,
    ends_at_ms BIGINT NOT NULL CHECK (ends_at_ms > starts_at_ms),
    made_by TEXT NOT NULL REFERENCES persons (id),
    created_at_ms BIGINT NOT NULL,
    -- When it was taken back, or another took its place.
    voided_at_ms BIGINT
);
CREATE UNIQUE INDEX standing_guest_links ON guest_links (grant_id) WHERE voided_at_ms IS NULL;
CREATE INDEX guest_links_of_grant ON guest_links (grant_id);

-- The phones that have redeemed a link.
CREATE TABLE guest_link_phones (
    link_id TEXT NOT NULL REFERENCES guest_links (id),
    phone_id TEXT NOT NULL REFERENCES phones (id),
    redeemed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (link_id, phone_id)
);
CREATE INDEX guest_link_phones_of_phone ON guest_link_phones (phone_id);

-- A session that began by a link reaches that link's grant alone, from that phone alone.
ALTER TABLE sessions ADD COLUMN link_id TEXT REFERENCES guest_links (id);
ALTER TABLE sessions ADD COLUMN phone_id TEXT REFERENCES phones (id);
CREATE INDEX sessions_of_link ON sessions (link_id);
