-- == detached
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
ALTER TABLE public.events DETACH PARTITION public.events_p20300601;
COMMENT ON TABLE public.events_p20300601 IS 'sa_partman: detached from "public"."events" at 2030-08-15T00:00:00+00:00 had "FOR VALUES FROM (''2030-06-01 00:00:00+00''::timestamp with time zone) TO (''2030-07-01 00:00:00+00''::timestamp with time zone)" sa_partman: created';
COMMIT;
-- session 1
COMMIT;

-- == its grace has ended
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events_p20300601" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SAVEPOINT sa_savepoint_1;
LOCK TABLE "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
DROP TABLE public.events_p20300601;
RELEASE SAVEPOINT sa_savepoint_1;
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300701" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300701" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
ALTER TABLE public.events DETACH PARTITION public.events_p20300701;
COMMENT ON TABLE public.events_p20300701 IS 'sa_partman: detached from "public"."events" at 2031-08-15T00:00:00+00:00 had "FOR VALUES FROM (''2030-07-01 00:00:00+00''::timestamp with time zone) TO (''2030-08-01 00:00:00+00''::timestamp with time zone)" sa_partman: created';
COMMIT;
-- session 1
COMMIT;

-- == archived
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
ALTER TABLE public.events DETACH PARTITION public.events_p20300601;
COMMENT ON TABLE public.events_p20300601 IS 'sa_partman: detached from "public"."events" at 2030-08-15T00:00:00+00:00 had "FOR VALUES FROM (''2030-06-01 00:00:00+00''::timestamp with time zone) TO (''2030-07-01 00:00:00+00''::timestamp with time zone)" sa_partman: created';
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events_p20300601" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
COPY (SELECT "id", "created_at", "tenant", "region", "ref" FROM "public"."events_p20300601") TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8');
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events_p20300601" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
COPY (SELECT "id", "created_at", "tenant", "region", "ref" FROM "public"."events_p20300601") TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8');
SAVEPOINT sa_savepoint_1;
LOCK TABLE "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
DROP TABLE public.events_p20300601;
RELEASE SAVEPOINT sa_savepoint_1;
COMMIT;
-- session 1
COMMIT;

-- == restored
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '200ms';
CREATE TABLE public.events_p20300601 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300601 IS 'sa_partman: created';
COPY "public"."events_p20300601" ("id", "created_at", "tenant", "region", "ref") FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8');
COPY (SELECT "id", "created_at", "tenant", "region", "ref" FROM "public"."events_p20300601") TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8');
ALTER TABLE "public"."events_p20300601" ADD CONSTRAINT "sa_partman_restored" CHECK ("created_at" IS NOT NULL AND "created_at" >= '2030-06-01 00:00:00+00'::timestamp with time zone AND "created_at" < '2030-07-01 00:00:00+00'::timestamp with time zone);
SAVEPOINT sa_savepoint_1;
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
ALTER TABLE public.events ATTACH PARTITION public.events_p20300601 FOR VALUES FROM ('2030-06-01 00:00:00+00'::timestamp with time zone) TO ('2030-07-01 00:00:00+00'::timestamp with time zone);
COMMENT ON TABLE public.events_p20300601 IS 'sa_partman: restored from "<folder>/public.events_p20300601.manifest.json" at 2030-08-15T00:00:00+00:00 sa_partman: created';
RELEASE SAVEPOINT sa_savepoint_1;
ALTER TABLE "public"."events_p20300601" DROP CONSTRAINT "sa_partman_restored";
COMMIT;
-- session 1
COMMIT;
