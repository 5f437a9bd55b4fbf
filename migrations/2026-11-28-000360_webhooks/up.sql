-- Webhooks: programs of an organization's own that are told what its access log says. The log is their queue: a webhook
-- knows how far it has been told.

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- The address, sealed under a key that is not in here: addresses hold secrets of those who are told.
    sealed_url TEXT NOT NULL,
    -- The kinds of entries, with a space between them; all where it is empty.
    kinds TEXT NOT NULL,
    created_by TEXT NOT NULL REFERENCES persons (id),
    created_at_ms BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'gone', 'failing')),
    -- Which of the secrets that are derived for it signs now; until when the one before it signs too.
    secret_number BIGINT NOT NULL,
    former_secret_ends_at_ms BIGINT NOT NULL,
    -- The number of the last entry of which it has been told, or that is not for it.
    told_seq BIGINT NOT NULL,
    -- How often in a row it could not be told, and since when.
    failures BIGINT NOT NULL,
    failing_since_ms BIGINT,
    next_try_at_ms BIGINT NOT NULL,
    -- Counts up with each node that sets out, and with each change: whoever did so last may say what became of it.
    turn BIGINT NOT NULL,
    -- Until when nobody else sets out.
    turn_ends_at_ms BIGINT NOT NULL
);
CREATE INDEX webhooks_of_organization ON webhooks (organization_id, id);
CREATE INDEX webhooks_due ON webhooks (state, next_try_at_ms);

-- What became of each try to tell a webhook of an entry.
CREATE TABLE webhook_deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    webhook_id TEXT NOT NULL REFERENCES webhooks (id),
    seq BIGINT NOT NULL,
    tried_at_ms BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    result TEXT NOT NULL,
    -- What it answered, where it answered at all.
    status BIGINT
);
CREATE INDEX webhook_deliveries_of_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (tried_at_ms);
