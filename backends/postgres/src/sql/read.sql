-- Frames of a stored body, be it pending, committed or retired; or an inline body as its one frame.
SELECT f.n, CASE WHEN octet_length(f.bytes) <= $5 THEN f.bytes END FROM http_cache.body b
JOIN http_cache.namespace s ON s.id = b.namespace AND s.name = $1
JOIN http_cache.frame f ON f.body = b.id AND f.n >= $3 AND f.n < $4
WHERE b.body = $2
UNION ALL
SELECT 0, CASE WHEN octet_length(c.inline) <= $5 THEN c.inline END FROM http_cache.namespace s
JOIN http_cache.resource r ON r.namespace = s.id AND r.key = $6
JOIN http_cache.variant v ON v.resource = r.id AND v.body = $2 AND v.stored IS NULL
JOIN http_cache.content c ON c.variant = v.id
WHERE s.name = $1 AND s.cleared_at IS NULL AND $3 = 0
ORDER BY 1
