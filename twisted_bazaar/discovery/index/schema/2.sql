-- Where on its host a peer takes datagrams; 0 for nowhere. Who is in the list already says it with its next word.
ALTER TABLE twisted_bazaar_index.peers ADD COLUMN udp integer NOT NULL DEFAULT 0;
