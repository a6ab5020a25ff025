-- A book that several sellers share. The namespace and the table of forms are there already.

CREATE TABLE twisted_bazaar.stock (
    -- In the order of code points, whatever the language of the database.
    item text COLLATE "C" PRIMARY KEY,
    supplied bigint NOT NULL,
    in_stock bigint NOT NULL CHECK (in_stock >= 0),
    sold bigint NOT NULL CHECK (sold >= 0),
    withdrawn bigint NOT NULL CHECK (withdrawn >= 0),
    price bigint CHECK (price >= 0),
    CHECK (supplied = in_stock + sold + withdrawn)
);

-- Keys and ids are bytes, and statements and answers are envelopes as they were signed.
-- The numbers tell which deal came later.
CREATE TABLE twisted_bazaar.deals (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    buyer bytea NOT NULL,
    id bytea NOT NULL,
    seller bytea NOT NULL,
    quote bytea NOT NULL,
    valid_until_ms bigint NOT NULL,
    item text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0),
    price bigint CHECK (price >= 0),
    is_withdrawal boolean NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('sold', 'refused', 'cancelled')),
    code text NOT NULL,
    reason text NOT NULL,
    statement bytea NOT NULL,
    answer bytea NOT NULL,
    -- By the clock of the seller; only to be shown.
    decided_at_ms bigint NOT NULL,
    CHECK (outcome <> 'sold' OR (quantity > 0 AND NOT is_withdrawal)),
    -- The id first: people look for orders by the beginning of it.
    UNIQUE (id, buyer)
);

-- One no ends a quote, so there is never a second one about it.
CREATE UNIQUE INDEX no_by_quote ON twisted_bazaar.deals (quote) WHERE outcome <> 'sold';
CREATE INDEX no_by_end ON twisted_bazaar.deals (seller, valid_until_ms) WHERE outcome <> 'sold';

CREATE FUNCTION twisted_bazaar.refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = TG_ARGV[0]; END $$;

CREATE TRIGGER answers_are_final BEFORE UPDATE ON twisted_bazaar.deals
FOR EACH ROW EXECUTE FUNCTION twisted_bazaar.refuse('an answer is final');

CREATE TRIGGER sales_are_kept BEFORE DELETE ON twisted_bazaar.deals
FOR EACH ROW WHEN (old.outcome = 'sold') EXECUTE FUNCTION twisted_bazaar.refuse('a sale is kept for ever');

CREATE TABLE twisted_bazaar.given_up (
    seller bytea PRIMARY KEY,
    until_ms bigint NOT NULL
);
