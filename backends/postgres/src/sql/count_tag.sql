SELECT count(*), coalesce(sum(v.len), 0)::bigint FROM http_cache.namespace s
JOIN http_cache.tag t ON t.namespace = s.id AND t.tag = $4
JOIN http_cache.variant v ON v.id = t.variant AND v.dead_at > $2 AND v.stored_at < $3
WHERE s.name = $1 AND s.cleared_at IS NULL
