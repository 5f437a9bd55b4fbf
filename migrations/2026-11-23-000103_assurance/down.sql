ALTER TABLE locks DROP COLUMN assurance;
