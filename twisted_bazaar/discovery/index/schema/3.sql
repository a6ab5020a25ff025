-- What lists weigh, and whom they are charged to: of who is in the list already, as well as a database can tell.
ALTER TABLE twisted_bazaar_index.peers ADD COLUMN charged_to text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN weight bigint NOT NULL DEFAULT 0;
UPDATE twisted_bazaar_index.peers SET charged_to = host, weight = 1500
    + coalesce((SELECT sum((568 + 2 * octet_length(name) + 113 * length(words)) / 64 * 64)
        FROM twisted_bazaar_index.files WHERE peer = number), 0)
    + coalesce((SELECT sum(205 + octet_length(item)) FROM twisted_bazaar_index.goods WHERE peer = number), 0)
    + coalesce((SELECT sum(537 + octet_length(bazaar)) FROM (
        SELECT DISTINCT bazaar FROM twisted_bazaar_index.goods WHERE peer = number) AS bazaars), 0);
CREATE INDEX peers_by_host ON twisted_bazaar_index.peers (charged_to, weight) WHERE key IS NOT NULL;

-- The bytes that the lists of each host are charged. Those without a host are let go, and are waiting to be cleared.
CREATE UNLOGGED TABLE twisted_bazaar_index.hosts (
    host text COLLATE "C" PRIMARY KEY,
    size_bytes bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO twisted_bazaar_index.hosts
    SELECT CASE WHEN key IS NULL THEN '' ELSE charged_to END AS host, sum(weight)
    FROM twisted_bazaar_index.peers GROUP BY 1;
