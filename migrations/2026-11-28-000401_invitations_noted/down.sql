DROP INDEX invitations_noted_ended;
DROP INDEX invitations_noted_accepted;
