-- Passkeys: keys of people's own devices, by which they sign in and prove who they are.
CREATE TABLE passkeys (
    id TEXT PRIMARY KEY NOT NULL,
    person_id TEXT NOT NULL REFERENCES persons (id),
    name TEXT NOT NULL,
    -- The authenticator's name for it, and its public key (COSE), base64url.
    credential TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL,
    -- How often it has signed, as its authenticator says; 0 where that counts nothing.
    counter BIGINT NOT NULL CHECK (counter >= 0),
    -- Whether its authenticator may copy it to other devices of the person.
    synced BOOLEAN NOT NULL,
    registered_at_ms BIGINT NOT NULL,
    -- The hour in which it was used last.
    used_at_ms BIGINT,
    -- When it was removed; nothing of it is left from then on but that it was there.
    removed_at_ms BIGINT
);
CREATE INDEX passkeys_of_person ON passkeys (person_id);
-- What was removed lately is looked for every second, to be noted outside the database.
CREATE INDEX passkeys_noted ON passkeys (removed_at_ms);

-- Challenges that wait for an answer by a passkey: each counts once, at whichever node.
CREATE TABLE passkey_challenges (
    digest TEXT PRIMARY KEY NOT NULL,
    ceremony TEXT NOT NULL CHECK (ceremony IN ('register', 'sign-in', 'prove')),
    -- The session that asked, where somebody is signed in.
    session_id TEXT,
    ends_at_ms BIGINT NOT NULL
);
CREATE INDEX passkey_challenges_by_end ON passkey_challenges (ends_at_ms);
