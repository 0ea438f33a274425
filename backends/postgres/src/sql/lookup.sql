-- A row for each live variant, one with nothing but the epoch and the generation where there is none. What is
-- larger than any commit writes is not sent.
SELECT s.epoch, s.purges, r.generation, v.id,
    v.variant, v.body, v.heads, v.stored, v.frames, v.len, v.stored_at, v.dead_at, v.limit_at,
    CASE WHEN octet_length(v.tags) <= $5 THEN v.tags END,
    CASE WHEN octet_length(c.head) <= $5 THEN c.head END,
    CASE WHEN octet_length(c.inline) <= $6
        AND sum(octet_length(c.inline)) OVER (ROWS UNBOUNDED PRECEDING) <= $7 THEN c.inline END
FROM http_cache.namespace s
LEFT JOIN http_cache.resource r ON r.namespace = s.id AND r.key = $2
LEFT JOIN http_cache.variant v ON v.resource = r.id AND v.dead_at > $3
LEFT JOIN http_cache.content c ON c.variant = v.id
WHERE s.name = $1 AND s.cleared_at IS NULL
LIMIT $4
