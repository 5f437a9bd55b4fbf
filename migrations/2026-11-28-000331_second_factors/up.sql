-- Second factors: one-time codes of a person's own device (RFC 6238), and codes for when it is lost.
CREATE TABLE second_factors (
    person_id TEXT PRIMARY KEY NOT NULL REFERENCES persons (id),
    -- The shared secret, sealed under a key that is not in here.
    sealed TEXT NOT NULL,
    begun_at_ms BIGINT NOT NULL,
    -- When the person showed that their device knows the secret; it counts from then on.
    confirmed_at_ms BIGINT,
    -- The step of time whose code counted last: no code counts twice, and none from before.
    last_step BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    person_id TEXT NOT NULL REFERENCES persons (id),
    -- Under a key that is not in here: whoever has the table cannot try out codes.
    digest TEXT NOT NULL,
    made_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT,
    PRIMARY KEY (person_id, digest)
);
