DROP TABLE log_trees;
DROP TABLE log_tiles;
