-- A buyer's book.

CREATE TABLE wants (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    label TEXT NOT NULL
) STRICT;

CREATE INDEX open_want ON wants (number) WHERE is_open = 1;

-- Keys and ids are bytes, and statements and answers are envelopes as they were signed.
-- The numbers tell which order was entered later.
CREATE TABLE orders (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    want INTEGER NOT NULL REFERENCES wants (number) DEFERRABLE INITIALLY DEFERRED,
    seller BLOB NOT NULL,
    seller_node INTEGER NOT NULL,
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    price INTEGER CHECK (price >= 0),
    statement BLOB NOT NULL,
    ordered_at REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'unknown', 'confirmed', 'refused', 'cancelled')),
    withdrawal BLOB,
    answer BLOB,
    code TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX order_by_want ON orders (want);
CREATE INDEX open_order ON orders (number) WHERE state IN ('pending', 'unknown');

CREATE TRIGGER answers_are_final BEFORE UPDATE OF state ON orders
WHEN old.state NOT IN ('pending', 'unknown') AND new.state <> old.state
BEGIN
    SELECT RAISE(ABORT, 'an answer is final');
END;
