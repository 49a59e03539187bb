-- == attached again
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300701" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events_p20300701" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
ALTER TABLE public.events ATTACH PARTITION public.events_p20300701 FOR VALUES FROM ('2030-07-01 00:00:00+00'::timestamp with time zone) TO ('2030-08-01 00:00:00+00'::timestamp with time zone);
COMMIT;
-- session 1
COMMIT;

-- == a pending detach
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events", ONLY "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events_p20300601" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
SET LOCAL lock_timeout = '1500ms';
ALTER TABLE public.events DETACH PARTITION public.events_p20300601 FINALIZE;
ALTER TABLE public.events ATTACH PARTITION public.events_p20300601 FOR VALUES FROM ('2030-06-01 00:00:00+00'::timestamp with time zone) TO ('2030-07-01 00:00:00+00'::timestamp with time zone);
COMMIT;
-- session 1
COMMIT;

-- == regrid
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."events", "public"."events_p20300701" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."events", "public"."events_p20300701" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
DO $sa_partman$ BEGIN PERFORM pg_catalog.set_config('row_security', 'off', true); LOCK TABLE ONLY public.events IN ACCESS EXCLUSIVE MODE; LOCK TABLE public.events_p20300701 IN ACCESS EXCLUSIVE MODE; IF EXISTS (SELECT FROM public.events_p20300701) THEN RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'public.events_p20300701 holds rows by now, so it stays until it is over; nothing was changed, and nothing has to be done: the next run --regrid leaves it out'; END IF; END $sa_partman$;
DROP TABLE public.events_p20300701;
CREATE TABLE public.events_p20300701_000000 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300701_000000 IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p20300701_000000 FOR VALUES FROM ('2030-07-01 00:00:00+00'::timestamp with time zone) TO ('2030-07-08 00:00:00+00'::timestamp with time zone);
CREATE TABLE public.events_p20300708 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300708 IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p20300708 FOR VALUES FROM ('2030-07-08 00:00:00+00'::timestamp with time zone) TO ('2030-07-18 00:00:00+00'::timestamp with time zone);
CREATE TABLE public.events_p20300718 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300718 IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p20300718 FOR VALUES FROM ('2030-07-18 00:00:00+00'::timestamp with time zone) TO ('2030-07-28 00:00:00+00'::timestamp with time zone);
CREATE TABLE public.events_p20300728 (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p20300728 IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p20300728 FOR VALUES FROM ('2030-07-28 00:00:00+00'::timestamp with time zone) TO ('2030-08-07 00:00:00+00'::timestamp with time zone);
COMMIT;
-- session 1
COMMIT;

-- == adopt
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
SAVEPOINT sa_savepoint_1;
LOCK TABLE ONLY "public"."events_p20300601" IN SHARE UPDATE EXCLUSIVE MODE;
RELEASE SAVEPOINT sa_savepoint_1;
COMMENT ON TABLE public.events_p20300601 IS 'sa_partman: adopted at 2030-06-15T00:00:00+00:00';
COMMIT;
-- session 1
COMMIT;
