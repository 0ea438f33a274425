-- The row's number alone does not do: a crash of the server empties unlogged tables, and numbers begin again.
WITH pending AS (
    UPDATE http_cache.body SET frames = frames + 1, bytes = bytes + octet_length($3)
    WHERE id = $1 AND body = $4 AND frames = $2 AND NOT committed AND gone_at IS NULL RETURNING id
)
INSERT INTO http_cache.frame (body, n, bytes) SELECT id, $2, $3 FROM pending RETURNING body
