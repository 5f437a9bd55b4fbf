-- Where locks hung before they went to other doors: one row for each move. What a lock tells late is of the door at which it
-- happened. As in the access log, a place may be gone by now.
CREATE TABLE lock_places (
    lock_id TEXT NOT NULL REFERENCES locks (id),
    -- When it left, exclusive.
    until_ms BIGINT NOT NULL,
    property_id TEXT NOT NULL,
    -- The unit whose own door it was; none for a shared one.
    unit_id TEXT,
    PRIMARY KEY (lock_id, until_ms)
);

-- A tenant's way in is the tenant's, and not of whoever decided that they get it.
UPDATE grants
SET given_by = (SELECT lockouts.person_id FROM lockouts WHERE lockouts.grant_id = grants.id)
WHERE grants.under IS NOT NULL
    AND EXISTS (SELECT 1 FROM lockouts WHERE lockouts.grant_id = grants.id);
