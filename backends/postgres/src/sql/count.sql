SELECT count(*), coalesce(sum(v.len), 0)::bigint FROM http_cache.namespace s
JOIN http_cache.variant v ON v.namespace = s.id AND v.dead_at > $2 AND v.stored_at < $3
WHERE s.name = $1 AND s.cleared_at IS NULL
