DROP INDEX tenancies_to_close;
ALTER TABLE tenancies DROP COLUMN closed_at_ms;
ALTER TABLE tenancies DROP COLUMN set_by;
