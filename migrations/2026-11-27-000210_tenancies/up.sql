-- Tenancies that are given and changed by themselves, and whose end is carried out once.

-- Who gave it, or changed its term last.
ALTER TABLE tenancies ADD COLUMN set_by TEXT;

-- When its end was carried out: its passes, grants, PINs and codes ended, and that was written down.
ALTER TABLE tenancies ADD COLUMN closed_at_ms BIGINT;

CREATE INDEX tenancies_to_close ON tenancies (ends_at_ms) WHERE closed_at_ms IS NULL;
