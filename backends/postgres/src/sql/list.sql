-- The columns are those of a lookup, without the inline body. After the key and the variant of the page before.
SELECT r.key, v.id,
    v.variant, v.body, v.heads, v.stored, v.frames, v.len, v.stored_at, v.dead_at, v.limit_at,
    CASE WHEN octet_length(v.tags) <= $5 THEN v.tags END,
    CASE WHEN octet_length(c.head) <= $5 THEN c.head END, ''::bytea, v.used_at, v.uses
FROM http_cache.namespace s
JOIN http_cache.resource r ON r.namespace = s.id AND r.key >= $6
JOIN http_cache.variant v ON v.resource = r.id AND v.dead_at > $2 AND v.stored_at < $3
    AND (r.key > $6 OR v.variant > $7)
LEFT JOIN http_cache.content c ON c.variant = v.id
WHERE s.name = $1 AND s.cleared_at IS NULL
ORDER BY r.key, v.variant LIMIT $4
