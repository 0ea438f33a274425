UPDATE http_cache.lease SET until = $4, uncacheable_until = $5, token = '\x' WHERE key = $2 AND token = $3
    AND namespace = (SELECT id FROM http_cache.namespace WHERE name = $1 AND cleared_at IS NULL)
