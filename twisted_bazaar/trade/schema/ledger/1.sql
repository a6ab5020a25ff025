-- A seller's book.

CREATE TABLE stock (
    item TEXT NOT NULL PRIMARY KEY,
    supplied INTEGER NOT NULL,
    in_stock INTEGER NOT NULL CHECK (in_stock >= 0),
    sold INTEGER NOT NULL CHECK (sold >= 0),
    withdrawn INTEGER NOT NULL CHECK (withdrawn >= 0),
    price INTEGER CHECK (price >= 0),
    CHECK (supplied = in_stock + sold + withdrawn)
) STRICT, WITHOUT ROWID;

-- Keys and ids are bytes, and statements and answers are envelopes as they were signed.
-- The numbers tell which deal came later.
CREATE TABLE deals (
    number INTEGER PRIMARY KEY,
    buyer BLOB NOT NULL,
    id BLOB NOT NULL,
    seller BLOB NOT NULL,
    quote BLOB NOT NULL,
    valid_until_ms INTEGER NOT NULL,
    item TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    price INTEGER CHECK (price >= 0),
    is_withdrawal INTEGER NOT NULL CHECK (is_withdrawal IN (0, 1)),
    outcome TEXT NOT NULL CHECK (outcome IN ('sold', 'refused', 'cancelled')),
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    statement BLOB NOT NULL,
    answer BLOB NOT NULL,
    -- By the clock of the seller; only to be shown.
    decided_at_ms INTEGER NOT NULL,
    CHECK (outcome <> 'sold' OR (quantity > 0 AND is_withdrawal = 0)),
    -- The id first: people look for orders by the beginning of it.
    UNIQUE (id, buyer)
) STRICT;

-- One no ends a quote, so there is never a second one about it.
CREATE UNIQUE INDEX no_by_quote ON deals (quote) WHERE outcome <> 'sold';
CREATE INDEX no_by_end ON deals (seller, valid_until_ms) WHERE outcome <> 'sold';

CREATE TRIGGER answers_are_final BEFORE UPDATE ON deals
BEGIN
    SELECT RAISE(ABORT, 'an answer is final');
END;

CREATE TRIGGER sales_are_kept BEFORE DELETE ON deals WHEN old.outcome = 'sold'
BEGIN
    SELECT RAISE(ABORT, 'a sale is kept for ever');
END;

CREATE TABLE given_up (
    seller BLOB NOT NULL PRIMARY KEY,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
