-- Made by `microservices containers make` and `microservices kubernetes make`.
-- A database and a role for each service. It creates what is missing and sets the passwords; data stays.
-- A role owns its database and can connect to no other.

\getenv password MONOLITH_PASSWORD
SELECT 'CREATE ROLE shop_monolith LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_monolith') \gexec
ALTER ROLE shop_monolith PASSWORD :'password';
SELECT 'CREATE DATABASE shop_monolith OWNER shop_monolith'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_monolith') \gexec
REVOKE ALL ON DATABASE shop_monolith FROM PUBLIC;
