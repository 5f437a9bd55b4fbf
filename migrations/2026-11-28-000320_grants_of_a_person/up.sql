-- A person's grants in an organization, in their order. By the person alone, and the organization's in their order beside it, the database
-- took the latter and looked through every grant of the landlord's whenever somebody stood before a door.

DROP INDEX grants_of_person;
CREATE INDEX grants_of_person ON grants (person_id, organization_id, id);
