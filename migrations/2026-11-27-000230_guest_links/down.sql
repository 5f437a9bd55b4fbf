DELETE FROM sessions WHERE link_id IS NOT NULL;
DROP INDEX sessions_of_link;
ALTER TABLE sessions DROP COLUMN phone_id;
ALTER TABLE sessions DROP COLUMN link_id;
DROP TABLE guest_link_phones;
DROP TABLE guest_links;
