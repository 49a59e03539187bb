-- == provision
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."orgs", ONLY "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."orgs" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
CREATE TABLE public.events_p20300601 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300601 IS 'sa_partman: created';
GRANT SELECT ON TABLE public.events_p20300601 TO "golden_reader";
GRANT UPDATE ("region") ON TABLE public.events_p20300601 TO "golden_reader";
CREATE POLICY "seen" ON public.events_p20300601 AS PERMISSIVE FOR SELECT TO "golden_reader" USING ((tenant = 't1'::text));
ALTER TABLE public.events_p20300601 ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.events_p20300601 FORCE ROW LEVEL SECURITY;
ALTER TABLE public.events_p20300601 ALTER COLUMN "tenant" SET STATISTICS 500;
ALTER TABLE public.events_p20300601 ALTER COLUMN "tenant" SET (n_distinct = 40);
ALTER TABLE public.events ATTACH PARTITION public.events_p20300601 FOR VALUES FROM ('2030-06-01 00:00:00+00'::timestamp with time zone) TO ('2030-07-01 00:00:00+00'::timestamp with time zone);
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."orgs", ONLY "public"."events" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."orgs" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
CREATE TABLE public.events_p20300701 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300701 IS 'sa_partman: created';
GRANT SELECT ON TABLE public.events_p20300701 TO "golden_reader";
GRANT UPDATE ("region") ON TABLE public.events_p20300701 TO "golden_reader";
CREATE POLICY "seen" ON public.events_p20300701 AS PERMISSIVE FOR SELECT TO "golden_reader" USING ((tenant = 't1'::text));
ALTER TABLE public.events_p20300701 ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.events_p20300701 FORCE ROW LEVEL SECURITY;
ALTER TABLE public.events_p20300701 ALTER COLUMN "tenant" SET STATISTICS 500;
ALTER TABLE public.events_p20300701 ALTER COLUMN "tenant" SET (n_distinct = 40);
ALTER TABLE public.events ATTACH PARTITION public.events_p20300701 FOR VALUES FROM ('2030-07-01 00:00:00+00'::timestamp with time zone) TO ('2030-08-01 00:00:00+00'::timestamp with time zone);
COMMIT;
-- session 1
COMMIT;

-- == repair
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SAVEPOINT sa_savepoint_1;
LOCK TABLE ONLY "public"."events_p20300601" IN ACCESS SHARE MODE;
RELEASE SAVEPOINT sa_savepoint_1;
GRANT SELECT ON TABLE public.events_p20300601 TO "golden_reader";
GRANT UPDATE ("region") ON TABLE public.events_p20300601 TO "golden_reader";
CREATE POLICY "seen" ON public.events_p20300601 AS PERMISSIVE FOR SELECT TO "golden_reader" USING ((tenant = 't1'::text));
ALTER TABLE public.events_p20300601 ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.events_p20300601 ALTER COLUMN "tenant" SET (n_distinct = 40);
COMMIT;
-- session 1
COMMIT;
