-- Made by `microservices containers make` and `microservices kubernetes make`.
-- A database and a role for each service. It creates what is missing and sets the passwords; data stays.
-- A role owns its database and can connect to no other.

\getenv password ACCOUNTS_PASSWORD
SELECT 'CREATE ROLE shop_accounts LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_accounts') \gexec
ALTER ROLE shop_accounts PASSWORD :'password';
SELECT 'CREATE DATABASE shop_accounts OWNER shop_accounts'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_accounts') \gexec
REVOKE ALL ON DATABASE shop_accounts FROM PUBLIC;

\getenv password CATALOG_PASSWORD
SELECT 'CREATE ROLE shop_catalog LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_catalog') \gexec
ALTER ROLE shop_catalog PASSWORD :'password';
SELECT 'CREATE DATABASE shop_catalog OWNER shop_catalog'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_catalog') \gexec
REVOKE ALL ON DATABASE shop_catalog FROM PUBLIC;

\getenv password RECOMMENDATIONS_PASSWORD
SELECT 'CREATE ROLE shop_recommendations LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_recommendations') \gexec
ALTER ROLE shop_recommendations PASSWORD :'password';
SELECT 'CREATE DATABASE shop_recommendations OWNER shop_recommendations'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_recommendations') \gexec
REVOKE ALL ON DATABASE shop_recommendations FROM PUBLIC;

\getenv password CART_PASSWORD
SELECT 'CREATE ROLE shop_cart LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_cart') \gexec
ALTER ROLE shop_cart PASSWORD :'password';
SELECT 'CREATE DATABASE shop_cart OWNER shop_cart'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_cart') \gexec
REVOKE ALL ON DATABASE shop_cart FROM PUBLIC;

\getenv password INVENTORY_PASSWORD
SELECT 'CREATE ROLE shop_inventory LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_inventory') \gexec
ALTER ROLE shop_inventory PASSWORD :'password';
SELECT 'CREATE DATABASE shop_inventory OWNER shop_inventory'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_inventory') \gexec
REVOKE ALL ON DATABASE shop_inventory FROM PUBLIC;

\getenv password PAYMENTS_PASSWORD
SELECT 'CREATE ROLE shop_payments LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_payments') \gexec
ALTER ROLE shop_payments PASSWORD :'password';
SELECT 'CREATE DATABASE shop_payments OWNER shop_payments'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_payments') \gexec
REVOKE ALL ON DATABASE shop_payments FROM PUBLIC;

\getenv password ORDERS_PASSWORD
SELECT 'CREATE ROLE shop_orders LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop_orders') \gexec
ALTER ROLE shop_orders PASSWORD :'password';
SELECT 'CREATE DATABASE shop_orders OWNER shop_orders'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'shop_orders') \gexec
REVOKE ALL ON DATABASE shop_orders FROM PUBLIC;
