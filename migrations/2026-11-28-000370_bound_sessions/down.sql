ALTER TABLE organization_rules DROP COLUMN phone_key_required;
DROP TABLE used_proofs;
DROP INDEX sessions_of_key;
ALTER TABLE sessions DROP COLUMN key_thumbprint;
