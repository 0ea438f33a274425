UPDATE http_cache.lease SET until = $4 WHERE key = $2 AND token = $3 AND until > $5
    AND namespace = (SELECT id FROM http_cache.namespace WHERE name = $1 AND cleared_at IS NULL)
RETURNING true
