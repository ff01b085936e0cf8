-- Holds: what a request meets, claims, and ends. Where a purse is locked, its rows are locked after it.
-- A session plans each statement once, mostly while the tables are empty. Then an index of whole purses looks as good as
-- one of single rows, so where both would serve, "(purse = ...) IS TRUE" is a condition that no index serves.

-- A hold as callers see it, as text. The header is worth money: only the claiming attempt gets it.
CREATE FUNCTION shown(h holds, whole boolean, standing text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT jsonb_strip_nulls(jsonb_build_object(
    'id', h.id, 'purchase', h.purchase, 'request', h.request, 'keyed', CASE WHEN h.keyed THEN '1' ELSE '' END,
    'payer', h.payer, 'units', h.units::text, 'created', h.created::text, 'state', h.state, 'money', h.money,
    'tries', h.tries::text, 'doc', h.doc, 'path', h.path, 'signed', h.signed, 'nonce', h.nonce, 'last', h.last,
    'charged', CASE WHEN h.charged THEN '1' END, 'standing', standing, 'header', CASE WHEN whole THEN h.header END,
    'stems', CASE WHEN whole THEN (
      SELECT jsonb_agg(stem)::text FROM accounts a, unnest(ARRAY[a.currency || ':' || a.name, '#:' || a.name]) stem
      WHERE a.id = ANY(h.accounts)) END
  ))::text
  );
END $$;

CREATE FUNCTION shown_past(e past) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT jsonb_strip_nulls(jsonb_build_object(
    'id', e.id, 'purchase', e.purchase, 'request', e.request, 'keyed', CASE WHEN e.keyed THEN '1' ELSE '' END,
    'payer', e.payer, 'units', e.units::text, 'created', e.created::text, 'state', e.state, 'money', e.money,
    'tries', e.tries::text, 'doc', e.doc, 'path', e.path, 'signed', e.signed, 'nonce', e.nonce, 'last', e.last,
    'charged', CASE WHEN e.charged THEN '1' END, 'receipt', e.receipt
  ))::text
  );
END $$;

-- Returns an answer with what an earlier one showed: that the payment was paid, and that a chain showed it.
CREATE FUNCTION last_after(in_last text, before text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN before::jsonb ->> 0 = 'spent' THEN
    jsonb_set(
      jsonb_set(in_last::jsonb, '{0}', '"spent"'), '{5}',
      to_jsonb(coalesce((in_last::jsonb ->> 5)::boolean, false) OR coalesce((before::jsonb ->> 5)::boolean, false))
    )::text
  ELSE in_last END
$$;

CREATE FUNCTION drop_hold(h holds) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM holds WHERE id = h.id;
  IF FOUND THEN PERFORM take_back(h.accounts, h.units, 1, h.created); END IF;
END $$;

CREATE FUNCTION resolve(h holds, in_state text, in_money text, in_receipt text, in_owed boolean, clock bigint)
RETURNS past LANGUAGE plpgsql AS $$
DECLARE
  e past;
BEGIN
  DELETE FROM holds WHERE id = h.id;
  INSERT INTO past (ended, id, purse, purchase, request, keyed, payer, host, currency, units, created, state, money,
      tries, charged, doc, path, signed, nonce, last, receipt, owed, accounts)
    VALUES (clock, h.id, h.purse, h.purchase, h.request, h.keyed, h.payer, h.host, h.currency, h.units, h.created,
      in_state, in_money, h.tries, h.charged, h.doc, h.path, h.signed, h.nonce, h.last, in_receipt, in_owed, h.accounts)
    RETURNING * INTO e;
  IF h.keyed THEN
    INSERT INTO keyed VALUES (h.purse, h.purchase, h.id, in_state, h.request, shown_past(e))
      ON CONFLICT (purse, purchase) DO UPDATE
      SET id = excluded.id, state = excluded.state, request = excluded.request, entry = excluded.entry;
  END IF;
  IF e.number % 64 = 0 THEN PERFORM prune_past(clock); END IF;
  RETURN e;
END $$;

-- Retention: deletes resolved purchases that are older than the longest window, some at a time. Keys are kept for ever,
-- and so is what can still take money.
CREATE FUNCTION prune_past(clock bigint) RETURNS void LANGUAGE sql AS $$
  DELETE FROM past WHERE number IN (
    SELECT number FROM past WHERE NOT owed
      AND ended < clock - (SELECT max(length) * 62 / 60 FROM windows) ORDER BY ended LIMIT 256 FOR UPDATE SKIP LOCKED
  )
$$;

-- Accounts of one request each count nothing once their longest window rolled away. Each turn looks at some accounts, and
-- the next turn goes on after them.
CREATE FUNCTION prune_accounts(t turn) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  longest bigint := (SELECT max(length) * 62 / 60 FROM windows);
  looked bigint[];
  idle bigint[];
  last text;
BEGIN
  SELECT array_agg(id), array_agg(id) FILTER (WHERE kind = 'request' AND latest < t.now - longest), max(name)
    INTO looked, idle, last FROM (
    SELECT id, name, kind, latest FROM accounts
    WHERE purse = t.purse AND name >= (SELECT swept FROM purses WHERE purse = t.purse) ORDER BY name LIMIT 512) slice;
  DELETE FROM starts WHERE account = ANY(idle);
  DELETE FROM accounts WHERE id = ANY(idle);
  DELETE FROM starts s USING windows w WHERE s.account = ANY(looked) AND s.span = w.span AND w.length > 0
    AND s.number < (t.now - w.length) / (w.length / 60);
  UPDATE purses SET swept = CASE WHEN cardinality(looked) = 512 THEN last ELSE '' END WHERE purse = t.purse;
END $$;

-- "busy": its attempt lives. "free": it ended. "doubt": the server cannot tell yet.
-- Every step of an owner lists its claims that ended, with the last step that it knew when it made the list. If it knew
-- of a step since the asking attempt began to wait, then the claims that it did not list are alive.
CREATE FUNCTION standing(t turn, in_owner text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  ends bigint;
  proof bigint;
BEGIN
  IF in_owner = '' THEN RETURN 'free'; END IF;
  IF in_owner = t.owner THEN RETURN 'busy'; END IF;
  SELECT lease_until INTO ends FROM programs WHERE purse = t.purse AND owner = in_owner;
  IF coalesce(ends, 0) <= t.clock THEN RETURN 'free'; END IF;
  IF t.since <= 0 THEN RETURN 'doubt'; END IF;
  SELECT max(seen) INTO proof FROM (
    SELECT seen FROM steps WHERE purse = t.purse AND owner = in_owner ORDER BY number DESC LIMIT 16) latest;
  RETURN CASE WHEN proof >= t.since THEN 'busy' ELSE 'doubt' END;
END $$;

-- Gives back the unsigned holds of programs whose lease ran out, and puts these to sleep: each is looked at once. One
-- whose row is locked makes a step at this moment.
CREATE FUNCTION reap(t turn) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ended text;
  h holds;
BEGIN
  FOR ended IN
    SELECT owner FROM programs WHERE purse = t.purse AND asleep IS NULL AND lease_until <= t.clock AND owner <> t.owner
    FOR UPDATE SKIP LOCKED
  LOOP
    FOR h IN SELECT * FROM holds WHERE purse = t.purse AND owner = ended AND state = 'reserved' FOR UPDATE
    LOOP
      PERFORM drop_hold(h);
    END LOOP;
    UPDATE programs SET asleep = lease_until WHERE purse = t.purse AND owner = ended;
  END LOOP;
END $$;

-- Claims of attempts that ended: [token, "1" if the command that took it may still be under way]. Such a claim made a
-- hold that no program has seen: what was signed for it was not sent.
CREATE FUNCTION give_up(t turn, gives jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  given jsonb;
  h holds;
BEGIN
  FOR given IN SELECT jsonb_array_elements(gives) LOOP
    SELECT * INTO h FROM holds WHERE purse = t.purse AND owner = t.owner AND claim = given ->> 0 FOR UPDATE;
    IF h.state = 'reserved' OR (given ->> 1 = '1' AND h.tries = 0) THEN
      PERFORM drop_hold(h);
    ELSIF h.id IS NOT NULL THEN
      UPDATE holds SET owner = '', claim = '' WHERE id = h.id;
    END IF;
    IF given ->> 1 = '1' THEN
      INSERT INTO voids VALUES (given ->> 0, t.clock + 3600000000) ON CONFLICT DO NOTHING;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION frozen_for(t turn, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT jsonb_build_array('frozen', t.seq, pattern) FROM freezes
  WHERE EXISTS (SELECT FROM freezes) AND pattern = ANY(texts(asked -> 'patterns')) LIMIT 1
  );
END $$;

-- A key stays with its request: one that was written off buys anew for that request alone.
CREATE FUNCTION ended_before(t turn, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT jsonb_build_array(CASE WHEN state = 'delivered' THEN 'paid' ELSE 'foreign' END, t.seq, entry) FROM keyed
  WHERE purse = t.purse AND purchase = asked -> 'purchases' ->> 0
    AND (state = 'delivered' OR NOT asked -> 'requests' ? request)
  );
END $$;

-- The rule: "an unresolved hold is claimed only if its payer is one of this wallet's addresses".
CREATE FUNCTION pays(in_payer text, asked jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT in_payer = '' OR asked -> 'payers' = '[]' OR asked -> 'payers' ? in_payer
$$;

CREATE FUNCTION take(t turn, h holds) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  IF h.owner <> t.owner OR h.claim <> t.token THEN
    UPDATE holds SET owner = t.owner, claim = t.token, tries = tries + 1 WHERE id = h.id RETURNING * INTO h;
  END IF;
  RETURN jsonb_build_array('hold', t.seq, shown(h, true, NULL));
END $$;

-- Returns what the holds of one owner mean for a request: an answer, or {"doubt": a hold}, or NULL. Of the holds that
-- are in flight only one is read, and that only where it matters.
CREATE FUNCTION meet_owner(t turn, asked jsonb, in_owner text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  name text := asked -> 'purchases' ->> 0;
  is_keyed boolean := asked ->> 'keyed' = '1';
  how text := standing(t, in_owner);
  h holds;
BEGIN
  IF how = 'busy' AND NOT is_keyed THEN RETURN NULL; END IF;
  -- Unsigned holds of attempts that ended are given back on the way.
  LOOP
    SELECT * INTO h FROM holds WHERE purchase = name AND owner = in_owner AND (purse = t.purse) IS TRUE
      AND (is_keyed OR (state = 'signed' AND pays(payer, asked)) OR (state = 'reserved' AND how = 'free'))
      ORDER BY created, id LIMIT 1 FOR UPDATE;
    EXIT WHEN h.id IS NULL OR h.state <> 'reserved' OR how <> 'free';
    PERFORM drop_hold(h);
  END LOOP;
  IF h.id IS NULL THEN RETURN NULL; END IF;
  IF is_keyed AND NOT asked -> 'requests' ? h.request THEN
    RETURN jsonb_build_array('foreign', t.seq, shown(h, false, NULL));
  END IF;
  IF how = 'free' THEN
    RETURN CASE WHEN pays(h.payer, asked) THEN take(t, h)
                ELSE jsonb_build_array('another', t.seq, shown(h, false, NULL)) END;
  END IF;
  IF how = 'busy' THEN RETURN jsonb_build_array('busy', t.seq, shown(h, false, NULL)); END IF;
  RETURN jsonb_build_object('doubt', shown(h, false, NULL));
END $$;

-- Returns what the open hold under a key means for a request that does not claim it. NULL: nothing.
CREATE FUNCTION look_at_key(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  h holds;
  how text;
BEGIN
  FOR h IN SELECT * FROM holds WHERE purchase = asked -> 'purchases' ->> 0 AND (purse = t.purse) IS TRUE LOOP
    how := standing(t, h.owner);
    CONTINUE WHEN how = 'free' AND h.state = 'reserved';
    IF NOT asked -> 'requests' ? h.request THEN RETURN jsonb_build_array('foreign', t.seq, shown(h, false, NULL)); END IF;
    IF how <> 'free' THEN RETURN jsonb_build_array('busy', t.seq, shown(h, false, NULL)); END IF;
    IF NOT pays(h.payer, asked) THEN RETURN jsonb_build_array('another', t.seq, shown(h, false, NULL)); END IF;
  END LOOP;
  RETURN NULL;
END $$;

-- Returns what stands in the way of a new hold, or the hold that is claimed. NULL: nothing.
CREATE FUNCTION meet(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  name text := asked -> 'purchases' ->> 0;
  answer jsonb;
  doubted text;
  next_owner text := NULL;
  h holds;
BEGIN
  SELECT owner INTO next_owner FROM holds WHERE purchase = name AND (purse = t.purse) IS TRUE ORDER BY owner LIMIT 1;
  IF next_owner IS NOT NULL THEN
    -- A command that is sent twice finds its own claim.
    SELECT * INTO h FROM holds WHERE purse = t.purse AND owner = t.owner AND claim = t.token;
    IF h.purchase = name THEN RETURN take(t, h); END IF;
    answer := CASE WHEN asked ->> 'keyed' = '1' THEN ended_before(t, asked) END;
    IF answer IS NOT NULL THEN RETURN answer; END IF;
  END IF;
  WHILE next_owner IS NOT NULL LOOP
    answer := meet_owner(t, asked, next_owner);
    EXIT WHEN jsonb_typeof(answer) = 'array';
    doubted := coalesce(answer ->> 'doubt', doubted);
    SELECT owner INTO next_owner FROM holds
      WHERE purchase = name AND owner > next_owner AND (purse = t.purse) IS TRUE ORDER BY owner LIMIT 1;
  END LOOP;
  IF jsonb_typeof(answer) = 'array' THEN RETURN answer; END IF;
  -- After the open holds: one that was delivered meanwhile is in one place or the other.
  answer := CASE WHEN asked ->> 'keyed' = '1' THEN ended_before(t, asked) END;
  IF answer IS NOT NULL OR doubted IS NULL THEN RETURN answer; END IF;
  UPDATE purses SET doubted = t.seq WHERE purse = t.purse;
  RETURN jsonb_build_array('busy', t.seq, doubted);
END $$;

CREATE FUNCTION met(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM voids WHERE token = t.token;
  IF FOUND THEN RETURN jsonb_build_array('void', t.seq); END IF;
  RETURN coalesce(frozen_for(t, asked), meet(t, asked));
END $$;
