-- After the row of the page before.
SELECT r.key, v.id,
    v.variant, v.body, v.heads, v.stored, v.frames, v.len, v.stored_at, v.dead_at, v.limit_at,
    CASE WHEN octet_length(v.tags) <= $5 THEN v.tags END,
    CASE WHEN octet_length(c.head) <= $5 THEN c.head END, ''::bytea, v.used_at, v.uses
FROM http_cache.namespace s
JOIN http_cache.tag t ON t.namespace = s.id AND t.tag = $6 AND t.variant > $7
JOIN http_cache.variant v ON v.id = t.variant AND v.dead_at > $2 AND v.stored_at < $3
JOIN http_cache.resource r ON r.id = v.resource
LEFT JOIN http_cache.content c ON c.variant = v.id
WHERE s.name = $1 AND s.cleared_at IS NULL
ORDER BY t.variant LIMIT $4
