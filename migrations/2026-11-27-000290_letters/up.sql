-- Letters: e-mails that wait for a mail server, and which of them people do not want.

CREATE TABLE letters (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    -- To whom and what, sealed under a key that is not in here; nothing once the letter is ended.
    sealed TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'refused', 'given-up')),
    -- How often a node has set out with it: whoever did so last may say what became of it.
    tries BIGINT NOT NULL,
    queued_at_ms BIGINT NOT NULL,
    -- Not before that; while a node is on its way with it, when another may believe that one lost.
    next_try_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    CHECK ((state = 'waiting') = (sealed IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at_ms IS NULL))
);
CREATE INDEX letters_waiting ON letters (state, next_try_at_ms);

-- When it was decided whether a notice goes out as a letter too.
ALTER TABLE notices ADD COLUMN weighed_at_ms BIGINT;
CREATE INDEX notices_to_weigh ON notices (weighed_at_ms, told_at_ms);

-- The kinds of notices of which a person wants no letters.
CREATE TABLE unwanted_letters (
    person_id TEXT NOT NULL REFERENCES persons (id),
    kind TEXT NOT NULL,
    PRIMARY KEY (person_id, kind)
);
