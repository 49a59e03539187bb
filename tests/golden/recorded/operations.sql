-- == create: upgrade
-- session 1
BEGIN;
CREATE TABLE public.o (LIKE public.orders INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.o IS 'sa_partman: created';
LOCK TABLE ONLY public.orders, public.orders_default IN SHARE ROW EXCLUSIVE MODE;
DO $sa_partman$ #variable_conflict use_column DECLARE waiting bigint; standing text; names text; BEGIN IF NOT EXISTS (SELECT FROM "public"."orders_default" WHERE "country" IS NOT NULL AND "country" IN ('jp'::character varying)) THEN RETURN; END IF; SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO names FROM pg_catalog.pg_attribute WHERE attrelid = '"public"."orders_default"'::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''; LOCK TABLE ONLY "public"."orders" IN ACCESS EXCLUSIVE MODE; SELECT count(*) INTO waiting FROM (SELECT FROM "public"."orders_default" WHERE "country" IS NOT NULL AND "country" IN ('jp'::character varying) LIMIT 100001) AS few; IF waiting > 100000 THEN SELECT count(*) INTO waiting FROM "public"."orders_default" WHERE "country" IS NOT NULL AND "country" IN ('jp'::character varying); RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = waiting || ' rows of public.orders_default belong into the new partition o, and at most 100000 are moved in one transaction, because nobody can read or write them meanwhile; nothing was changed. Move them while the application goes on, with sa-partman drain; or raise the limit in a maintenance window, with limit= of an operation, or: sa-partman run --max-rows ' || waiting; END IF; SELECT string_agg(quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass, ', ' ORDER BY t.tgrelid, t.tgname) INTO standing FROM pg_catalog.pg_trigger t WHERE t.tgenabled <> 'D' AND t.tgtype & 1 = 1 AND ( t.tgtype & 8 = 8 AND t.tgrelid IN (SELECT '"public"."orders_default"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."orders_default"'::pg_catalog.regclass)) AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0) OR t.tgconstraint IN ( SELECT f.oid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confdeltype <> 'a' AND f.confrelid = t.tgrelid)) OR t.tgtype & 4 = 4 AND t.tgrelid IN (SELECT '"public"."o"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."o"'::pg_catalog.regclass)) AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))); IF standing IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'public.orders_default holds rows that belong into o, and moving them would fire the row triggers ' || standing || '; nothing was changed. Disable them meanwhile (ALTER TABLE ... DISABLE TRIGGER ...), or move the rows by hand; foreign keys with an action can''t be disabled so: drop them, and create them again afterwards.'; END IF; IF coalesce(pg_catalog.current_setting('effective_wal_level', true), pg_catalog.current_setting('wal_level')) = 'logical' THEN SELECT string_agg(quote_ident(p.pubname), ', ' ORDER BY p.pubname) INTO standing FROM pg_catalog.pg_publication p WHERE p.pubinsert AND EXISTS (SELECT FROM pg_catalog.pg_publication_tables l JOIN pg_catalog.pg_namespace n ON n.nspname = l.schemaname JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.tablename WHERE l.pubname = p.pubname AND c.oid IN (SELECT '"public"."o"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors('"public"."o"'::pg_catalog.regclass) UNION ALL SELECT '"public"."o"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."o"'::pg_catalog.regclass))) OR p.pubdelete AND EXISTS (SELECT FROM pg_catalog.pg_publication_tables l JOIN pg_catalog.pg_namespace n ON n.nspname = l.schemaname JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.tablename WHERE l.pubname = p.pubname AND c.oid IN (SELECT '"public"."orders_default"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors('"public"."orders_default"'::pg_catalog.regclass) UNION ALL SELECT '"public"."orders_default"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."orders_default"'::pg_catalog.regclass))); IF standing IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'public.orders_default holds rows that belong into o, and is published (' || standing || '): subscribers would get only one half of the move, or later changes of these rows for a partition in which they don''t have them; nothing was changed. Take the rows out, and put them back through the partitioned table, so that subscribers get both: CREATE UNLOGGED TABLE aside AS SELECT * FROM "public"."orders_default" WITH NO DATA; WITH taken AS (DELETE FROM "public"."orders_default" WHERE "country" IS NOT NULL AND "country" IN (''jp''::character varying) RETURNING *) INSERT INTO aside SELECT * FROM taken; then this again; then INSERT INTO the partitioned table (' || names || ') OVERRIDING SYSTEM VALUE SELECT ' || names || ' FROM aside; DROP TABLE aside'; END IF; END IF; EXECUTE 'WITH moved AS (DELETE FROM ' || '"public"."orders_default"' || ' WHERE ' || '"country" IS NOT NULL AND "country" IN (''jp''::character varying)' || ' RETURNING ' || names || ') INSERT INTO ' || '"public"."o"' || ' (' || names || ') OVERRIDING SYSTEM VALUE SELECT ' || names || ' FROM moved'; END $sa_partman$;
ALTER TABLE public.orders ATTACH PARTITION public.o FOR VALUES IN ('jp'::character varying);
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == drop: upgrade
-- session 1
BEGIN;
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == drop: downgrade
-- session 1
BEGIN;
ALTER TABLE public.orders DETACH PARTITION public.o;
LOCK TABLE public.o IN SHARE ROW EXCLUSIVE MODE;
DO $sa_partman$ #variable_conflict use_column DECLARE waiting bigint; standing text; names text; BEGIN IF NOT EXISTS (SELECT FROM "public"."o" WHERE "country" IS NOT NULL AND "country" IN ('jp'::character varying)) THEN RETURN; END IF; SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO names FROM pg_catalog.pg_attribute WHERE attrelid = '"public"."o"'::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''; SELECT count(*) INTO waiting FROM (SELECT FROM "public"."o" WHERE "country" IS NOT NULL AND "country" IN ('jp'::character varying) LIMIT 100001) AS few; IF waiting > 100000 THEN SELECT count(*) INTO waiting FROM "public"."o" WHERE "country" IS NOT NULL AND "country" IN ('jp'::character varying); RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = waiting || ' rows of public.o belong into the new partition orders_default, and at most 100000 are moved in one transaction, because nobody can read or write them meanwhile; nothing was changed. Move them while the application goes on, with sa-partman drain; or raise the limit in a maintenance window, with limit= of an operation, or: sa-partman run --max-rows ' || waiting; END IF; SELECT string_agg(quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass, ', ' ORDER BY t.tgrelid, t.tgname) INTO standing FROM pg_catalog.pg_trigger t WHERE t.tgenabled <> 'D' AND t.tgtype & 1 = 1 AND ( t.tgtype & 8 = 8 AND t.tgrelid IN (SELECT '"public"."o"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."o"'::pg_catalog.regclass)) AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0) OR t.tgconstraint IN ( SELECT f.oid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.confdeltype <> 'a' AND f.confrelid = t.tgrelid)) OR t.tgtype & 4 = 4 AND t.tgrelid IN (SELECT '"public"."orders_default"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."orders_default"'::pg_catalog.regclass)) AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))); IF standing IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'public.o holds rows that belong into orders_default, and moving them would fire the row triggers ' || standing || '; nothing was changed. Disable them meanwhile (ALTER TABLE ... DISABLE TRIGGER ...), or move the rows by hand; foreign keys with an action can''t be disabled so: drop them, and create them again afterwards.'; END IF; IF coalesce(pg_catalog.current_setting('effective_wal_level', true), pg_catalog.current_setting('wal_level')) = 'logical' THEN SELECT string_agg(quote_ident(p.pubname), ', ' ORDER BY p.pubname) INTO standing FROM pg_catalog.pg_publication p WHERE p.pubinsert AND EXISTS (SELECT FROM pg_catalog.pg_publication_tables l JOIN pg_catalog.pg_namespace n ON n.nspname = l.schemaname JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.tablename WHERE l.pubname = p.pubname AND c.oid IN (SELECT '"public"."orders_default"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors('"public"."orders_default"'::pg_catalog.regclass) UNION ALL SELECT '"public"."orders_default"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."orders_default"'::pg_catalog.regclass))) OR p.pubdelete AND EXISTS (SELECT FROM pg_catalog.pg_publication_tables l JOIN pg_catalog.pg_namespace n ON n.nspname = l.schemaname JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = l.tablename WHERE l.pubname = p.pubname AND c.oid IN (SELECT '"public"."o"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_ancestors('"public"."o"'::pg_catalog.regclass) UNION ALL SELECT '"public"."o"'::pg_catalog.regclass::oid UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree('"public"."o"'::pg_catalog.regclass))); IF standing IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'public.o holds rows that belong into orders_default, and is published (' || standing || '): subscribers would get only one half of the move, or later changes of these rows for a partition in which they don''t have them; nothing was changed. Take the rows out, and put them back through the partitioned table, so that subscribers get both: CREATE UNLOGGED TABLE aside AS SELECT * FROM "public"."o" WITH NO DATA; WITH taken AS (DELETE FROM "public"."o" WHERE "country" IS NOT NULL AND "country" IN (''jp''::character varying) RETURNING *) INSERT INTO aside SELECT * FROM taken; then this again; then INSERT INTO the partitioned table (' || names || ') OVERRIDING SYSTEM VALUE SELECT ' || names || ' FROM aside; DROP TABLE aside'; END IF; END IF; EXECUTE 'WITH moved AS (DELETE FROM ' || '"public"."o"' || ' WHERE ' || '"country" IS NOT NULL AND "country" IN (''jp''::character varying)' || ' RETURNING ' || names || ') INSERT INTO ' || '"public"."orders_default"' || ' (' || names || ') OVERRIDING SYSTEM VALUE SELECT ' || names || ' FROM moved'; END $sa_partman$;
DROP TABLE public.o;
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == create a range: upgrade
-- session 1
BEGIN;
CREATE TABLE public.e (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.e IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.e FOR VALUES FROM ('2031-01-01 00:00:00+00'::timestamp with time zone) TO ('2031-02-01 00:00:00+00'::timestamp with time zone);
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == detach: upgrade
-- session 1
BEGIN;
ALTER TABLE public.events DETACH PARTITION public.e;
COMMENT ON TABLE public.e IS 'sa_partman: detached from "public"."events" at <now> had "FOR VALUES FROM (''2031-01-01 00:00:00+00''::timestamp with time zone) TO (''2031-02-01 00:00:00+00''::timestamp with time zone)" sa_partman: created';
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == detach: downgrade
-- session 1
BEGIN;
ALTER TABLE public.events ATTACH PARTITION public.e FOR VALUES FROM ('2031-01-01 00:00:00+00'::timestamp with time zone) TO ('2031-02-01 00:00:00+00'::timestamp with time zone);
COMMENT ON TABLE public.e IS 'sa_partman: created';
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == index: upgrade
-- session 1
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET lock_timeout = '200ms';
CREATE INDEX "ix" ON ONLY "public"."events" (kind, id);
SET lock_timeout = '60000ms';
CREATE INDEX CONCURRENTLY "events_p<now>_ix" ON "public"."events_p<now>" USING btree (kind, id);
SET lock_timeout = '200ms';
ALTER INDEX "public"."ix" ATTACH PARTITION "public"."events_p<now>_ix";
SET lock_timeout = '60000ms';
CREATE INDEX CONCURRENTLY "events_p<now>_ix" ON "public"."events_p<now>" USING btree (kind, id);
SET lock_timeout = '200ms';
ALTER INDEX "public"."ix" ATTACH PARTITION "public"."events_p<now>_ix";
SET lock_timeout = '60000ms';
CREATE INDEX CONCURRENTLY "events_p<now>_ix" ON "public"."events_p<now>" USING btree (kind, id);
SET lock_timeout = '200ms';
ALTER INDEX "public"."ix" ATTACH PARTITION "public"."events_p<now>_ix";
SET lock_timeout = '0';
SET statement_timeout = '0';
SET idle_in_transaction_session_timeout = '0';
BEGIN ISOLATION LEVEL READ COMMITTED;
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == index: downgrade
-- session 1
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET lock_timeout = '200ms';
DROP INDEX "public"."ix";
SET lock_timeout = '0';
SET statement_timeout = '0';
SET idle_in_transaction_session_timeout = '0';
BEGIN ISOLATION LEVEL READ COMMITTED;
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;

-- == provision: upgrade
-- session 1
BEGIN;
CREATE TABLE public.events_p<now> (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p<now> IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p<now> FOR VALUES FROM ('<now>'::timestamp with time zone) TO ('<now>'::timestamp with time zone);
CREATE TABLE public.events_p<now> (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p<now> IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p<now> FOR VALUES FROM ('<now>'::timestamp with time zone) TO ('<now>'::timestamp with time zone);
CREATE TABLE public.events_p<now> (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p<now> IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p<now> FOR VALUES FROM ('<now>'::timestamp with time zone) TO ('<now>'::timestamp with time zone);
CREATE TABLE public.events_p<now> (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p<now> IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p<now> FOR VALUES FROM ('<now>'::timestamp with time zone) TO ('<now>'::timestamp with time zone);
CREATE TABLE public.events_p<now> (LIKE public.events INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES);
COMMENT ON TABLE public.events_p<now> IS 'sa_partman: created';
ALTER TABLE public.events ATTACH PARTITION public.events_p<now> FOR VALUES FROM ('<now>'::timestamp with time zone) TO ('<now>'::timestamp with time zone);
UPDATE alembic_version SET version_num='<revision>' WHERE alembic_version.version_num = '<revision>';
COMMIT;
