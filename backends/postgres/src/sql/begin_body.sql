WITH begun AS (
    INSERT INTO http_cache.body (namespace, body, began_at, limit_at, frames, bytes)
    SELECT id, $2, $3, $4, 1, octet_length($5) FROM http_cache.namespace
    WHERE name = $1 AND cleared_at IS NULL RETURNING id
)
INSERT INTO http_cache.frame (body, n, bytes) SELECT id, 0, $5 FROM begun RETURNING body
