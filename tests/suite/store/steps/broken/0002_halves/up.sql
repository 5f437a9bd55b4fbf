CREATE TABLE halves (name TEXT PRIMARY KEY NOT NULL);
INSERT INTO absent (name) VALUES ('second');
