CREATE TABLE keys (door TEXT NOT NULL REFERENCES doors (name));
