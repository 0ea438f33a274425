INSERT INTO http_cache.namespace (name, epoch) VALUES ($1, substr(uuid_send(gen_random_uuid()), 9))
ON CONFLICT DO NOTHING
