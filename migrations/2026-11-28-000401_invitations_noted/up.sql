-- Invitations that were withdrawn or accepted lately are noted outside the database, too.
CREATE INDEX invitations_noted_accepted ON invitations (accepted_at_ms);
CREATE INDEX invitations_noted_ended ON invitations (ends_at_ms);
