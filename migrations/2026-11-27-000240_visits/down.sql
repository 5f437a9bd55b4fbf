DROP TABLE visit_answers;
DROP TABLE visit_locks;
DROP TABLE visits;
