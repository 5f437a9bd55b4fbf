DROP INDEX grants_of_person;
CREATE INDEX grants_of_person ON grants (person_id);
