-- Who sees an entry stands in the tree with its leaf: the trees are made anew.
DELETE FROM log_tiles;
UPDATE log_trees SET size = 0;
