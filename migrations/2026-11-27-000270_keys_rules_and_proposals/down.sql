DROP TABLE proposals;
DROP TABLE organization_rules;
DROP TABLE api_keys;
