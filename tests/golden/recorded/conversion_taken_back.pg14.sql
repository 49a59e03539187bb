-- == abort after unique_index
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg_try_advisory_xact_lock(1935765603, 1785117446);
SET LOCAL idle_in_transaction_session_timeout = '60000ms';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '1';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 3
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog;
SET row_security = off;
SET idle_session_timeout = '10000ms';
SET lock_timeout = '1200000ms';
SET client_connection_check_interval = '1s';
DROP INDEX CONCURRENTLY IF EXISTS "public"."events_pkey_new";
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '1';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 1
COMMIT;

-- == abort after check
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg_try_advisory_xact_lock(1935765603, 1785117446);
SET LOCAL idle_in_transaction_session_timeout = '60000ms';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
LOCK TABLE "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '2';
ALTER TABLE "public"."events" DROP CONSTRAINT IF EXISTS "events_history_bound";
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '2';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '2';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 3
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog;
SET row_security = off;
SET idle_session_timeout = '10000ms';
SET lock_timeout = '1200000ms';
SET client_connection_check_interval = '1s';
DROP INDEX CONCURRENTLY IF EXISTS "public"."events_pkey_new";
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '2';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 1
COMMIT;

-- == abort after validate
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg_try_advisory_xact_lock(1935765603, 1785117446);
SET LOCAL idle_in_transaction_session_timeout = '60000ms';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '3';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '3';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
LOCK TABLE "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '3';
ALTER TABLE "public"."events" DROP CONSTRAINT IF EXISTS "events_history_bound";
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '3';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '3';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 3
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog;
SET row_security = off;
SET idle_session_timeout = '10000ms';
SET lock_timeout = '1200000ms';
SET client_connection_check_interval = '1s';
DROP INDEX CONCURRENTLY IF EXISTS "public"."events_pkey_new";
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '3';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 1
COMMIT;

-- == abort after not_null
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg_try_advisory_xact_lock(1935765603, 1785117446);
SET LOCAL idle_in_transaction_session_timeout = '60000ms';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
LOCK TABLE "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
ALTER TABLE "public"."events" ALTER COLUMN "created_at" DROP NOT NULL;
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
LOCK TABLE "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
ALTER TABLE "public"."events" DROP CONSTRAINT IF EXISTS "events_history_bound";
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 3
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog;
SET row_security = off;
SET idle_session_timeout = '10000ms';
SET lock_timeout = '1200000ms';
SET client_connection_check_interval = '1s';
DROP INDEX CONCURRENTLY IF EXISTS "public"."events_pkey_new";
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '4';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 1
COMMIT;

-- == abort after parent
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg_try_advisory_xact_lock(1935765603, 1785117446);
SET LOCAL idle_in_transaction_session_timeout = '60000ms';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
DROP TABLE IF EXISTS "public"."events_pnew";
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
LOCK TABLE "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
ALTER TABLE "public"."events" ALTER COLUMN "created_at" DROP NOT NULL;
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
LOCK TABLE "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
ALTER TABLE "public"."events" DROP CONSTRAINT IF EXISTS "events_history_bound";
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 3
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET search_path = pg_catalog;
SET row_security = off;
SET idle_session_timeout = '10000ms';
SET lock_timeout = '1200000ms';
SET client_connection_check_interval = '1s';
DROP INDEX CONCURRENTLY IF EXISTS "public"."events_pkey_new";
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '5';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 1
COMMIT;

-- == resume after foreign_key:public.orgs
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg_try_advisory_xact_lock(1935765603, 1785117446);
SET LOCAL idle_in_transaction_session_timeout = '60000ms';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '1500ms';
SET LOCAL idle_in_transaction_session_timeout = '10000ms';
SET LOCAL lock_timeout = '200ms';
SET LOCAL lock_timeout = '1500ms';
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '6';
ANALYZE "public"."events";
SELECT pg_catalog.pg_advisory_xact_lock(1935765604, CAST($1 AS int));
-- parameters: $1 = '6';
LOCK TABLE sa_partman.conversion IN SHARE UPDATE EXCLUSIVE MODE;
COMMENT ON COLUMN sa_partman.conversion.steps IS <state>;
COMMIT;
-- session 1
COMMIT;
