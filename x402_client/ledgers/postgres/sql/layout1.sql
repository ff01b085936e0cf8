-- Layout 1. Times are microseconds since 1970, amounts are millionths. Every table has what one or more purses know.

-- One row. "mark" names the layout and the windows: a program with another mark must not write here.
CREATE TABLE ledger (one boolean PRIMARY KEY DEFAULT true CHECK (one), layout integer NOT NULL, mark text NOT NULL);
-- The windows that are counted, each in sixty buckets. A length of 0 never rolls over.
CREATE TABLE windows (span smallint PRIMARY KEY, name text NOT NULL UNIQUE, length bigint NOT NULL);
CREATE SEQUENCE step_numbers;

-- A step that counts locks the row of its purse first. So two of them never wait for each other's rows.
CREATE TABLE purses (
  purse text PRIMARY KEY, identity text NOT NULL, accepted bigint NOT NULL DEFAULT 0, opens bigint NOT NULL DEFAULT 0,
  older boolean NOT NULL DEFAULT false, forgets boolean NOT NULL DEFAULT false, doubted bigint NOT NULL DEFAULT 0,
  pruned bigint NOT NULL DEFAULT 0, swept text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
-- Identities of lost purses that programs reported, and those whose loss was accepted.
CREATE TABLE losses (
  purse text NOT NULL, identity text NOT NULL, accepted boolean NOT NULL DEFAULT false, PRIMARY KEY (purse, identity)
);
CREATE TABLE freezes (pattern text PRIMARY KEY);

-- Programs: the token that tells each from copies of its memory, and the end of its lease. One whose lease ran out is
-- put to sleep by the next step that gives back what it had not signed. The lease is in no index: it changes each second.
CREATE TABLE programs (
  purse text NOT NULL, owner text NOT NULL, life text NOT NULL, lease_until bigint NOT NULL, asleep bigint,
  PRIMARY KEY (purse, owner)
) WITH (fillfactor = 50);
CREATE INDEX programs_asleep ON programs (purse, asleep);
-- Steps that programs may have heard of. "seen" is the highest one that the program knew when it asked for this one.
CREATE TABLE steps (
  purse text NOT NULL, owner text NOT NULL, number bigint NOT NULL, token text NOT NULL, seen bigint NOT NULL,
  made bigint NOT NULL, PRIMARY KEY (purse, owner, number)
);
-- Claims that were given up while the command that takes them may still be under way.
CREATE TABLE voids (token text PRIMARY KEY, until bigint NOT NULL);
CREATE INDEX voids_by_end ON voids (until);

-- Sums. "starts" has those of an account at the start of a bucket.
CREATE TABLE accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, purse text NOT NULL, name text NOT NULL, currency text NOT NULL,
  units bigint NOT NULL CHECK (units >= 0), payments bigint NOT NULL CHECK (payments >= 0), latest bigint NOT NULL,
  kind text NOT NULL, UNIQUE (purse, name, currency)
) WITH (fillfactor = 30);
CREATE INDEX accounts_of_hosts ON accounts (purse, currency) WHERE kind = 'host';
CREATE TABLE starts (
  account bigint NOT NULL, span smallint NOT NULL, number bigint NOT NULL, units bigint NOT NULL,
  payments bigint NOT NULL, PRIMARY KEY (account, span, number)
);
CREATE TABLE allowances (
  purse text NOT NULL, account text NOT NULL, doc text NOT NULL, opened bigint NOT NULL, until bigint,
  state text NOT NULL, number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (purse, account)
);

-- Open purchases. "header" is worth money until the purchase is resolved: let no role read this table.
CREATE TABLE holds (
  id text PRIMARY KEY, purse text NOT NULL, purchase text NOT NULL, request text NOT NULL, keyed boolean NOT NULL,
  payer text NOT NULL, host text NOT NULL, currency text NOT NULL, units bigint NOT NULL, created bigint NOT NULL,
  state text NOT NULL, money text NOT NULL, tries integer NOT NULL DEFAULT 0, charged boolean NOT NULL DEFAULT false,
  doc text NOT NULL, path text, signed text, nonce text, last text, owner text NOT NULL, claim text NOT NULL,
  header text, accounts bigint[] NOT NULL
) WITH (fillfactor = 50);
-- The oldest hold of an owner is found without a look at all that are in flight, and so is one claim.
CREATE INDEX holds_of_purchase ON holds (purchase, owner, created, id);
CREATE INDEX holds_of_owner ON holds (purse, owner, claim);

-- Resolved purchases. Those of "owed" can still take money: their ceiling counts until the chain tells.
CREATE TABLE past (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ended bigint NOT NULL, id text NOT NULL, purse text NOT NULL,
  purchase text NOT NULL, request text NOT NULL, keyed boolean NOT NULL, payer text NOT NULL, host text NOT NULL,
  currency text NOT NULL, units bigint NOT NULL, created bigint NOT NULL, state text NOT NULL, money text NOT NULL,
  tries integer NOT NULL, charged boolean NOT NULL, doc text NOT NULL, path text, signed text, nonce text, last text,
  receipt text, owed boolean NOT NULL DEFAULT false, accounts bigint[] NOT NULL
);
CREATE INDEX past_of_purse ON past (purse, number);
CREATE INDEX past_of_id ON past (id);
CREATE INDEX past_owed ON past (purse) WHERE owed;
CREATE INDEX past_by_end ON past (ended) WHERE NOT owed;
-- The last end under each key, for ever.
CREATE TABLE keyed (
  purse text NOT NULL, purchase text NOT NULL, id text NOT NULL, state text NOT NULL, request text NOT NULL,
  entry text NOT NULL, PRIMARY KEY (purse, purchase)
);

-- What each function of one step needs to know.
CREATE TYPE turn AS (purse text, owner text, token text, clock bigint, now bigint, seq bigint, since bigint);
