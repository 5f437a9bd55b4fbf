-- Ways in stay their tenants'.
DROP TABLE lock_places;
