-- == run
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."ids", ONLY "public"."numbers", ONLY "public"."pairs", ONLY "public"."regions", ONLY "public"."rooms", ONLY "public"."shards" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
CREATE TABLE public.ids_p20300601 (LIKE public.ids INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.ids_p20300601 IS 'sa_partman: created';
ALTER TABLE public.ids ATTACH PARTITION public.ids_p20300601 FOR VALUES FROM ('01bbe465-f800-7000-8000-000000000000'::uuid) TO ('01bc7ee4-c000-7000-8000-000000000000'::uuid);
CREATE TABLE public.ids_p20300701 (LIKE public.ids INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.ids_p20300701 IS 'sa_partman: created';
ALTER TABLE public.ids ATTACH PARTITION public.ids_p20300701 FOR VALUES FROM ('01bc7ee4-c000-7000-8000-000000000000'::uuid) TO ('01bd1e89-e400-7000-8000-000000000000'::uuid);
CREATE TABLE public.ids_p20300801 (LIKE public.ids INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.ids_p20300801 IS 'sa_partman: created';
ALTER TABLE public.ids ATTACH PARTITION public.ids_p20300801 FOR VALUES FROM ('01bd1e89-e400-7000-8000-000000000000'::uuid) TO ('01bdbe2f-0800-7000-8000-000000000000'::uuid);
CREATE TABLE public.ids_p20300901 (LIKE public.ids INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.ids_p20300901 IS 'sa_partman: created';
ALTER TABLE public.ids ATTACH PARTITION public.ids_p20300901 FOR VALUES FROM ('01bdbe2f-0800-7000-8000-000000000000'::uuid) TO ('01be58ad-d000-7000-8000-000000000000'::uuid);
CREATE TABLE public.ids_p20301001 (LIKE public.ids INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.ids_p20301001 IS 'sa_partman: created';
ALTER TABLE public.ids ATTACH PARTITION public.ids_p20301001 FOR VALUES FROM ('01be58ad-d000-7000-8000-000000000000'::uuid) TO ('01bef852-f400-7000-8000-000000000000'::uuid);
CREATE TABLE public.numbers_p0 (LIKE public.numbers INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.numbers_p0 IS 'sa_partman: created';
ALTER TABLE public.numbers ATTACH PARTITION public.numbers_p0 FOR VALUES FROM ('0'::bigint) TO ('1000'::bigint);
CREATE TABLE public.numbers_p1000 (LIKE public.numbers INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.numbers_p1000 IS 'sa_partman: created';
ALTER TABLE public.numbers ATTACH PARTITION public.numbers_p1000 FOR VALUES FROM ('1000'::bigint) TO ('2000'::bigint);
CREATE TABLE public.pairs_a_p20300601 (LIKE public.pairs INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.pairs_a_p20300601 IS 'sa_partman: created';
ALTER TABLE public.pairs ATTACH PARTITION public.pairs_a_p20300601 FOR VALUES FROM ('a'::text, '2030-06-01 00:00:00+00'::timestamp with time zone) TO ('a'::text, '2030-07-01 00:00:00+00'::timestamp with time zone);
CREATE TABLE public.pairs_b_c_db8e58f1_p20300601 (LIKE public.pairs INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.pairs_b_c_db8e58f1_p20300601 IS 'sa_partman: created';
ALTER TABLE public.pairs ATTACH PARTITION public.pairs_b_c_db8e58f1_p20300601 FOR VALUES FROM ('B c'::text, '2030-06-01 00:00:00+00'::timestamp with time zone) TO ('B c'::text, '2030-07-01 00:00:00+00'::timestamp with time zone);
CREATE TABLE public.regions_eu (LIKE public.regions INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.regions_eu IS 'sa_partman: created';
ALTER TABLE public.regions ATTACH PARTITION public.regions_eu FOR VALUES IN ('de'::text, 'fr'::text);
CREATE TABLE public.regions_default (LIKE public.regions INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.regions_default IS 'sa_partman: created';
ALTER TABLE public.regions ATTACH PARTITION public.regions_default DEFAULT;
CREATE TABLE public.rooms_a (LIKE public.rooms INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES) PARTITION BY RANGE (at);
COMMENT ON TABLE public.rooms_a IS 'sa_partman: created';
ALTER TABLE public.rooms ATTACH PARTITION public.rooms_a FOR VALUES IN ('a'::text);
CREATE TABLE public.rooms_a_p20300615 PARTITION OF public.rooms_a FOR VALUES FROM ('2030-06-15 00:00:00+00'::timestamp with time zone) TO ('2030-06-16 00:00:00+00'::timestamp with time zone);
COMMENT ON TABLE public.rooms_a_p20300615 IS 'sa_partman: created';
CREATE TABLE public.rooms_b_c_db8e58f1 (LIKE public.rooms INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES) PARTITION BY RANGE (at);
COMMENT ON TABLE public.rooms_b_c_db8e58f1 IS 'sa_partman: created';
ALTER TABLE public.rooms ATTACH PARTITION public.rooms_b_c_db8e58f1 FOR VALUES IN ('B c'::text);
CREATE TABLE public.rooms_b_c_db8e58f1_p20300615 PARTITION OF public.rooms_b_c_db8e58f1 FOR VALUES FROM ('2030-06-15 00:00:00+00'::timestamp with time zone) TO ('2030-06-16 00:00:00+00'::timestamp with time zone);
COMMENT ON TABLE public.rooms_b_c_db8e58f1_p20300615 IS 'sa_partman: created';
CREATE TABLE public.shards_h0 (LIKE public.shards INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.shards_h0 IS 'sa_partman: created';
ALTER TABLE public.shards ATTACH PARTITION public.shards_h0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.shards_h1 (LIKE public.shards INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.shards_h1 IS 'sa_partman: created';
ALTER TABLE public.shards ATTACH PARTITION public.shards_h1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
COMMIT;
-- session 1
COMMIT;

-- == a tenant's branch is dropped
-- session 1
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_catalog.pg... pg_try_advisory_xact_lock(8314049950937017710);
SET LOCAL application_name = 'sa_partman:<run>';
-- session 2
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "public"."rooms", "public"."rooms_a" IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
LOCK TABLE ONLY "public"."rooms", "public"."rooms_a" IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = '200ms';
DROP TABLE public.rooms_a;
COMMIT;
-- session 1
COMMIT;
