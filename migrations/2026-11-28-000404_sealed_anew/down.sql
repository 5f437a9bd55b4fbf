DELETE FROM log_tiles;
UPDATE log_trees SET size = 0;
