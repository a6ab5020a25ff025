-- A directory that several index servers share. Soft state: peers tell it again, so nothing is logged,
-- and all of it is gone after the database server has failed.

-- One row for each list. Without a key it is let go, and is waiting to be cleared.
CREATE UNLOGGED TABLE twisted_bazaar_index.peers (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea UNIQUE,
    id bigint NOT NULL,
    host text NOT NULL,
    port integer NOT NULL,
    is_local boolean NOT NULL,
    -- The process that it is linked to.
    server uuid NOT NULL,
    -- The end of its lease; if it is not there, when its list is let go.
    until timestamptz NOT NULL,
    is_there boolean NOT NULL DEFAULT true,
    mark bigint NOT NULL DEFAULT 0,
    listed integer NOT NULL DEFAULT 0,
    load bigint NOT NULL DEFAULT 0,
    named bigint NOT NULL DEFAULT 0,
    named_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX peers_without_key ON twisted_bazaar_index.peers (number) WHERE key IS NULL;

CREATE UNLOGGED SEQUENCE twisted_bazaar_index.namings;

CREATE UNLOGGED TABLE twisted_bazaar_index.files (
    peer bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    digest bytea NOT NULL,
    is_whole boolean NOT NULL,
    -- Without regard to case; and its words.
    folded text COLLATE "C" NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (peer, name)
);
CREATE INDEX files_in_order ON twisted_bazaar_index.files (name, digest, size);
CREATE INDEX files_by_digest ON twisted_bazaar_index.files (digest);
CREATE INDEX files_by_words ON twisted_bazaar_index.files USING gin (words);

CREATE UNLOGGED TABLE twisted_bazaar_index.goods (
    peer bigint NOT NULL,
    bazaar text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    PRIMARY KEY (peer, bazaar, item)
);
CREATE INDEX goods_by_item ON twisted_bazaar_index.goods (bazaar, item);
