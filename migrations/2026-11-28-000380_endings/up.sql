-- What has ended lately is looked for every second, to be noted outside the database.
CREATE INDEX grants_noted ON grants (revoked_at_ms);
CREATE INDEX tenancies_noted ON tenancies (closed_at_ms);
CREATE INDEX memberships_noted ON memberships (ended_at_ms);
CREATE INDEX phones_noted ON phones (removed_at_ms);
CREATE INDEX guest_links_noted ON guest_links (voided_at_ms);
CREATE INDEX api_keys_noted ON api_keys (revoked_at_ms);
CREATE INDEX locks_noted ON locks (retired_at_ms);
