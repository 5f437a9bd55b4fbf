DROP TABLE ledger_lines;
DROP TABLE lockout_asks;
DROP TABLE lockouts;
DROP TABLE lockout_policies;
