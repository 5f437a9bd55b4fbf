DROP INDEX locks_noted;
DROP INDEX api_keys_noted;
DROP INDEX guest_links_noted;
DROP INDEX phones_noted;
DROP INDEX memberships_noted;
DROP INDEX tenancies_noted;
DROP INDEX grants_noted;
