-- What there is of the schema, from catalogs that everybody may read.
SELECT current_setting('server_version_num')::bigint, current_setting('default_transaction_isolation'),
    EXISTS (SELECT 1 FROM pg_catalog.pg_namespace n WHERE n.nspname = $1),
    EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'layout' AND c.relkind = 'r'),
    (SELECT min(c.relname)::text FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))
