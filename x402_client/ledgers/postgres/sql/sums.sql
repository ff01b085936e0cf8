-- Sums of accounts in rolling windows. Every function that changes them is called under the lock of the purse.

CREATE FUNCTION covers(pattern text, host text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN left(pattern, 2) = '*.' THEN right(host, length(pattern) - 1) = substr(pattern, 2)
              ELSE host = pattern END
$$;

-- The hosts from whose sums a pattern starts.
CREATE FUNCTION hosts_in(in_purse text, in_currency text, pattern text) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
  IF left(pattern, 2) = '*.' THEN
    RETURN QUERY SELECT id FROM accounts WHERE purse = in_purse AND kind = 'host'
      AND (in_currency = '#' OR currency = in_currency) AND covers(pattern, name);
  ELSE
    RETURN QUERY SELECT id FROM accounts WHERE purse = in_purse AND name = pattern
      AND (in_currency = '#' OR currency = in_currency);
  END IF;
END $$;

-- The accounts that make up a sum: those of this name, or those of the hosts from which it would start. "#" stands for
-- payments in all currencies.
CREATE FUNCTION counting_in(in_purse text, in_name text, in_currency text, hosts text) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
  found bigint[];
BEGIN
  IF hosts <> '' AND NOT EXISTS (SELECT FROM accounts WHERE purse = in_purse AND name = in_name) THEN
    RETURN ARRAY(SELECT hosts_in(in_purse, in_currency, hosts));
  END IF;
  SELECT array_agg(id) INTO found FROM accounts
    WHERE purse = in_purse AND name = in_name AND (in_currency = '#' OR currency = in_currency);
  RETURN coalesce(found, '{}');
END $$;

CREATE FUNCTION counted(ids bigint[], in_payments boolean, in_window text, now bigint) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
  w windows;
  found numeric;
BEGIN
  SELECT * INTO w FROM windows WHERE name = in_window;
  IF w.length = 0 THEN
    SELECT sum(CASE WHEN in_payments THEN payments ELSE units END) INTO found FROM accounts WHERE id = ANY(ids);
  ELSE
    SELECT sum(CASE WHEN in_payments THEN a.payments - s.payments ELSE a.units - s.units END) INTO found
    FROM accounts a CROSS JOIN LATERAL (
      SELECT units, payments FROM starts WHERE account = a.id AND span = w.span
        AND number >= (now - w.length) / (w.length / 60) ORDER BY number LIMIT 1
    ) s WHERE a.id = ANY(ids);
  END IF;
  RETURN coalesce(found, 0);
END $$;

-- The buckets that count, as a flat list: "t" with the sum, and each number with what it counted.
CREATE FUNCTION buckets(ids bigint[], in_payments boolean, in_window text, now bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
  w windows;
  told jsonb := jsonb_build_array('t', counted(ids, in_payments, in_window, now)::text);
  each record;
BEGIN
  SELECT * INTO w FROM windows WHERE name = in_window;
  IF w.length = 0 THEN RETURN told; END IF;
  FOR each IN
    SELECT c.number, sum(c.more) AS more FROM (
      SELECT s.number, CASE WHEN in_payments THEN lead(s.payments, 1, a.payments) OVER later - s.payments
                            ELSE lead(s.units, 1, a.units) OVER later - s.units END AS more
      FROM accounts a CROSS JOIN LATERAL (
        SELECT * FROM starts WHERE account = a.id AND span = w.span AND number >= (now - w.length) / (w.length / 60) OFFSET 0
      ) s WHERE a.id = ANY(ids)
      WINDOW later AS (PARTITION BY a.id ORDER BY s.number)
    ) c GROUP BY c.number ORDER BY c.number
  LOOP
    told := told || jsonb_build_array(each.number::text, each.more::text);
  END LOOP;
  RETURN told;
END $$;

-- Counts a payment. Buckets that begin get the sums from before it; those that rolled away are deleted.
CREATE FUNCTION count_payment(ids bigint[], in_units bigint, now bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  begun integer;
BEGIN
  INSERT INTO starts (account, span, number, units, payments)
    SELECT a.id, w.span, now / (w.length / 60), a.units, a.payments FROM accounts a CROSS JOIN windows w
    WHERE a.id = ANY(ids) AND w.length > 0 AND a.latest < now / (w.length / 60) * (w.length / 60)
    ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS begun = ROW_COUNT;
  IF begun > 0 THEN
    DELETE FROM starts s USING windows w WHERE s.account = ANY(ids) AND s.span = w.span AND w.length > 0
      AND s.number < (now - w.length) / (w.length / 60);
  END IF;
  UPDATE accounts SET units = units + in_units, payments = payments + 1, latest = now WHERE id = ANY(ids);
END $$;

-- Counts a payment of an earlier moment, where it still counts.
CREATE FUNCTION count_earlier(ids bigint[], in_units bigint, at bigint, now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO starts (account, span, number, units, payments)
    SELECT a.id, w.span, at / (w.length / 60), coalesce(n.units, a.units), coalesce(n.payments, a.payments)
    FROM accounts a CROSS JOIN windows w LEFT JOIN LATERAL (
      SELECT units, payments FROM starts WHERE account = a.id AND span = w.span AND number > at / (w.length / 60)
      ORDER BY number LIMIT 1
    ) n ON true
    WHERE a.id = ANY(ids) AND w.length > 0 AND at / (w.length / 60) >= (now - w.length) / (w.length / 60)
    ON CONFLICT DO NOTHING;
  UPDATE starts s SET units = s.units + in_units, payments = s.payments + 1 FROM windows w
    WHERE s.account = ANY(ids) AND s.span = w.span AND w.length > 0 AND s.number > at / (w.length / 60);
  UPDATE accounts SET units = units + in_units, payments = payments + 1, latest = greatest(latest, at)
    WHERE id = ANY(ids);
END $$;

-- Takes back what a payment counted at its moment. Buckets that began after it have it in their sums.
CREATE FUNCTION take_back(ids bigint[], in_units bigint, in_payments bigint, at bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE accounts SET units = units - in_units, payments = payments - in_payments WHERE id = ANY(ids);
  UPDATE starts s SET units = s.units - in_units, payments = s.payments - in_payments FROM windows w
    WHERE s.account = ANY(ids) AND s.span = w.span AND w.length > 0 AND s.number > at / (w.length / 60);
END $$;

-- The rule: "An account seen for the first time starts from the sums of the hosts it matches", in every currency.
CREATE FUNCTION start_from_hosts(in_purse text, in_name text, pattern text, now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  each record;
  made accounts;
BEGIN
  FOR each IN
    SELECT currency, sum(units) AS units, sum(payments) AS payments, max(latest) AS latest, array_agg(id) AS ids
    FROM accounts WHERE id IN (SELECT hosts_in(in_purse, '#', pattern)) GROUP BY currency
  LOOP
    INSERT INTO accounts (purse, name, currency, units, payments, latest, kind)
      VALUES (in_purse, in_name, each.currency, each.units, each.payments, each.latest, 'pattern')
      ON CONFLICT DO NOTHING RETURNING * INTO made;
    CONTINUE WHEN made.id IS NULL;
    INSERT INTO starts (account, span, number, units, payments)
      SELECT made.id, b.span, b.number, made.units - sum(b.units) OVER since, made.payments - sum(b.payments) OVER since
      FROM (
        SELECT c.span, c.number, sum(c.units) AS units, sum(c.payments) AS payments FROM (
          SELECT s.span, s.number, lead(s.units, 1, h.units) OVER later - s.units AS units,
            lead(s.payments, 1, h.payments) OVER later - s.payments AS payments
          FROM accounts h CROSS JOIN windows w CROSS JOIN LATERAL (
            SELECT * FROM starts
            WHERE account = h.id AND span = w.span AND number >= (now - w.length) / (w.length / 60) OFFSET 0
          ) s WHERE h.id = ANY(each.ids) AND w.length > 0
          WINDOW later AS (PARTITION BY h.id, s.span ORDER BY s.number)
        ) c GROUP BY c.span, c.number
      ) b WINDOW since AS (PARTITION BY b.span ORDER BY b.number DESC);
  END LOOP;
END $$;

-- The accounts of these names. Each is looked up by itself: a join may read all of the purse.
CREATE FUNCTION accounts_of(in_purse text, names text[], in_currency text) RETURNS SETOF accounts LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RETURN QUERY SELECT found.* FROM unnest(names) each CROSS JOIN LATERAL (
    SELECT * FROM accounts WHERE purse = in_purse AND name = each AND currency = in_currency LIMIT 1) found;
END $$;

-- The names in which a payment counts: those that its order names, and the patterns of other programs' policies.
CREATE FUNCTION names_of(in_purse text, stems jsonb, covering jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  named text[] := ARRAY(SELECT substr(stem, 3) FROM jsonb_array_elements_text(stems) stem WHERE left(stem, 2) = '#:');
  others text[];
BEGIN
  others := ARRAY(SELECT c ->> 0 FROM jsonb_array_elements(covering) c WHERE c ->> 2 = '' AND NOT (c ->> 0) = ANY(named));
  RETURN named || ARRAY(SELECT each FROM unnest(others) each CROSS JOIN LATERAL (
    SELECT FROM accounts WHERE purse = in_purse AND name = each LIMIT 1) found);
END $$;

-- Opens the accounts that are missing. Returns all of them.
CREATE FUNCTION open_accounts(in_purse text, names text[], facts jsonb, path text[], now bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
  found bigint[];
  each text;
  pattern text;
  paid_in text := facts ->> 'currency';
BEGIN
  SELECT array_agg(id) INTO found FROM accounts_of(in_purse, names, paid_in);
  IF cardinality(found) = cardinality(names) THEN RETURN found; END IF;
  FOREACH each IN ARRAY names LOOP
    SELECT c ->> 1 INTO pattern FROM jsonb_array_elements(facts -> 'covering') c WHERE c ->> 0 = each;
    IF pattern IS NOT NULL AND NOT EXISTS (SELECT FROM accounts WHERE purse = in_purse AND name = each) THEN
      PERFORM start_from_hosts(in_purse, each, pattern, now);
    END IF;
    INSERT INTO accounts (purse, name, currency, units, payments, latest, kind)
      VALUES (in_purse, each, paid_in, 0, 0, -1, CASE
        WHEN each = '' THEN 'purse' WHEN each = ANY(path) THEN 'allowance' WHEN pattern IS NOT NULL THEN 'pattern'
        WHEN each = facts ->> 'host' THEN 'host' WHEN left(each, 8) = 'request ' THEN 'request' ELSE 'allowance' END)
      ON CONFLICT DO NOTHING;
  END LOOP;
  RETURN ARRAY(SELECT id FROM accounts_of(in_purse, names, paid_in));
END $$;
