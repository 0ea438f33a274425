-- The tables. The schema's name takes the place of the one here, UNLOGGED that of the mark where it is wanted.
--
-- There are no foreign keys: they would lock a namespace's row at each commit. What hangs together is deleted
-- together, under the lock of the resource's row. All times are nanoseconds since 1970.

-- `clear` does not delete: it sets `cleared_at` and inserts a row of the same name, with another epoch.
-- Nothing looks into a cleared row but the sweep.
CREATE /*unlogged*/ TABLE http_cache.namespace (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    epoch bytea NOT NULL,
    purges bigint NOT NULL DEFAULT 0,
    cleared_at bigint
);
CREATE UNIQUE INDEX namespace_current ON http_cache.namespace (name) WHERE cleared_at IS NULL;
CREATE INDEX namespace_cleared ON http_cache.namespace (name) WHERE cleared_at IS NOT NULL;

-- Sixteen zeros are the generation of what was not removed within living memory, as is an absent row.
-- Whoever changes anything of a resource locks its row first.
CREATE /*unlogged*/ TABLE http_cache.resource (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace bigint NOT NULL,
    key bytea NOT NULL,
    generation bytea NOT NULL,
    tombstone_until bigint,
    UNIQUE (namespace, key)
);
CREATE INDEX resource_tombstone ON http_cache.resource (namespace, tombstone_until)
    WHERE tombstone_until IS NOT NULL;

-- `stored` is the body's row, NULL where the body is in `content`; `size` is in bytes, encoded.
CREATE /*unlogged*/ TABLE http_cache.variant (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace bigint NOT NULL,
    resource bigint NOT NULL,
    variant bytea NOT NULL,
    body bytea NOT NULL,
    heads bigint NOT NULL,
    stored bigint,
    frames bigint NOT NULL,
    len bigint NOT NULL,
    size bigint NOT NULL,
    stored_at bigint NOT NULL,
    dead_at bigint NOT NULL,
    limit_at bigint NOT NULL,
    used_at bigint NOT NULL,
    tags bytea NOT NULL,
    uses bigint NOT NULL DEFAULT 0,
    UNIQUE (resource, variant)
) WITH (fillfactor = 80);
CREATE INDEX variant_dead ON http_cache.variant (namespace, dead_at);
CREATE INDEX variant_used ON http_cache.variant (namespace, used_at);

-- The bytes of a variant, apart: recording a use does not write them again.
CREATE /*unlogged*/ TABLE http_cache.content (
    variant bigint PRIMARY KEY,
    head bytea NOT NULL,
    inline bytea
);
ALTER TABLE http_cache.content ALTER COLUMN head SET STORAGE EXTERNAL;
ALTER TABLE http_cache.content ALTER COLUMN inline SET STORAGE EXTERNAL;

-- Pending until `committed`; retired (and deleted from `gone_at` on) when nothing has it any more.
CREATE /*unlogged*/ TABLE http_cache.body (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace bigint NOT NULL,
    body bytea NOT NULL UNIQUE,
    began_at bigint NOT NULL,
    limit_at bigint NOT NULL,
    committed boolean NOT NULL DEFAULT false,
    gone_at bigint,
    frames bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX body_pending ON http_cache.body (namespace, began_at) WHERE NOT committed AND gone_at IS NULL;
CREATE INDEX body_gone ON http_cache.body (namespace, gone_at) WHERE gone_at IS NOT NULL;

CREATE /*unlogged*/ TABLE http_cache.frame (
    body bigint NOT NULL,
    n bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (body, n)
);
ALTER TABLE http_cache.frame ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE /*unlogged*/ TABLE http_cache.tag (
    namespace bigint NOT NULL,
    tag bytea NOT NULL,
    variant bigint NOT NULL,
    PRIMARY KEY (namespace, tag, variant)
);
CREATE INDEX tag_variant ON http_cache.tag (variant);

-- `purge` is the number of the namespace's purge that wrote it last.
CREATE /*unlogged*/ TABLE http_cache.tag_tombstone (
    namespace bigint NOT NULL,
    tag bytea NOT NULL,
    purge bigint NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (namespace, tag)
);
CREATE INDEX tag_tombstone_until ON http_cache.tag_tombstone (namespace, until);

CREATE /*unlogged*/ TABLE http_cache.lease (
    namespace bigint NOT NULL,
    key bytea NOT NULL,
    token bytea NOT NULL,
    until bigint NOT NULL,
    uncacheable_until bigint NOT NULL,
    PRIMARY KEY (namespace, key)
);

-- Always logged: after a crash of the server, what is unlogged is empty, and still ours.
CREATE TABLE http_cache.layout (application text NOT NULL, version bigint NOT NULL);
INSERT INTO http_cache.layout VALUES ('http-cache', 2);
