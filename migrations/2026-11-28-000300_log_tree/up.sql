-- The Merkle tree over each organization's access log, and how far it has come.

CREATE TABLE log_tiles (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- Of subtrees of 256^level entries.
    level BIGINT NOT NULL,
    position BIGINT NOT NULL,
    -- Up to 256 hashes, one after the other, as base64.
    hashes TEXT NOT NULL,
    PRIMARY KEY (organization_id, level, position)
);

CREATE TABLE log_trees (
    organization_id TEXT PRIMARY KEY NOT NULL REFERENCES organizations (id),
    -- How many entries are in the tree.
    size BIGINT NOT NULL,
    sealed_at_ms BIGINT NOT NULL
);
INSERT INTO log_trees (organization_id, size, sealed_at_ms) SELECT id, 0, created_at_ms FROM organizations;
