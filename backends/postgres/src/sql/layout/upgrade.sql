-- What layout 2 has and layout 1 has not, but for the functions. Statements of releases with layout 1 go on working.
ALTER TABLE http_cache.variant ADD COLUMN uses bigint NOT NULL DEFAULT 0;
UPDATE http_cache.layout SET version = 2;
