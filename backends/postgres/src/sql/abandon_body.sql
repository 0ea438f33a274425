UPDATE http_cache.body SET gone_at = $2 WHERE id = $1 AND body = $3 AND NOT committed AND gone_at IS NULL
