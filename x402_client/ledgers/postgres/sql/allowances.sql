-- Allowances: budgets within the budget. Their ends are fixed by the server's clock, and judged by it.

CREATE FUNCTION state_of(a allowances, now bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN a.state <> 'closed' AND now >= a.until THEN 'ended' ELSE a.state END
$$;

-- The rule: "a closed or frozen parent closes or freezes its children in the same step for all processes".
CREATE FUNCTION allowance_refusal(t turn, path text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  each text;
  a allowances;
BEGIN
  FOREACH each IN ARRAY path LOOP
    SELECT * INTO a FROM allowances WHERE purse = t.purse AND account = each;
    IF coalesce(state_of(a, t.now), '') <> 'open' THEN
      RETURN jsonb_build_array('allowance', t.seq, each, coalesce(state_of(a, t.now), ''), coalesce(a.until::text, ''));
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

CREATE FUNCTION shown_allowance(a allowances, now bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_array(a.account, a.doc, a.opened::text, coalesce(a.until::text, ''), state_of(a, now), (
    SELECT coalesce(jsonb_agg(part), '[]') FROM accounts c, unnest(ARRAY[c.currency, c.units::text]) part
    WHERE c.purse = a.purse AND c.name = a.account))
$$;

-- The allowances of these accounts, each looked up by itself; without any, all of the purse.
CREATE FUNCTION allowances_of(in_purse text, accounts text[]) RETURNS SETOF allowances LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF accounts = '{}' THEN
    RETURN QUERY SELECT * FROM allowances WHERE purse = in_purse;
  ELSE
    RETURN QUERY SELECT found.* FROM unnest(accounts) each CROSS JOIN LATERAL (
      SELECT * FROM allowances WHERE purse = in_purse AND account = each LIMIT 1) found;
  END IF;
END $$;

CREATE FUNCTION open_allowance(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  a allowances;
BEGIN
  INSERT INTO allowances (purse, account, doc, opened, until, state)
    VALUES (t.purse, asked ->> 'account', asked ->> 'doc', t.now,
      t.now + nullif(asked ->> 'seconds', '')::bigint * 1000000, 'open') ON CONFLICT DO NOTHING;
  SELECT * INTO a FROM allowances WHERE purse = t.purse AND account = asked ->> 'account';
  RETURN jsonb_build_array('ok', t.seq, shown_allowance(a, t.now));
END $$;

CREATE FUNCTION mark_allowance(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  a allowances;
BEGIN
  SELECT * INTO a FROM allowances WHERE purse = t.purse AND account = asked ->> 'account' FOR UPDATE;
  IF a.account IS NULL THEN RETURN jsonb_build_array('ok', t.seq, ''); END IF;
  IF asked ->> 'drops' = '1' THEN
    DELETE FROM starts WHERE account IN (SELECT id FROM accounts WHERE purse = t.purse AND name = a.account);
    DELETE FROM accounts WHERE purse = t.purse AND name = a.account;
    DELETE FROM allowances WHERE purse = t.purse AND account = a.account;
  ELSIF a.state <> 'closed' THEN
    UPDATE allowances SET state = asked ->> 'mark' WHERE purse = t.purse AND account = a.account;
  END IF;
  RETURN jsonb_build_array('ok', t.seq, '1');
END $$;
