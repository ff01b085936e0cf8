-- The steps by name. Programs call "step" and nothing else.

CREATE FUNCTION exceeded_by(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  over jsonb := '[]';
  cap jsonb;
  place integer := 0;
  account text;
  unit text;
  ids bigint[];
BEGIN
  FOR cap IN SELECT jsonb_array_elements(asked -> 'caps') LOOP
    place := place + 1;
    unit := split_part(cap ->> 0, ':', 1);
    account := substr(cap ->> 0, length(unit) + 2);
    SELECT array_agg(id) INTO ids FROM accounts
      WHERE purse = t.purse AND name = account AND (unit = '#' OR currency = unit);
    IF ids IS NULL THEN
      ids := counting_in(t.purse, account, unit, coalesce(
        (SELECT c ->> 1 FROM jsonb_array_elements(asked -> 'covering') c WHERE c ->> 0 = account), ''));
    END IF;
    IF counted(ids, unit = '#', cap ->> 1, t.now) > (cap ->> 2)::numeric OR (cap ->> 2)::numeric < 0 THEN
      over := over || jsonb_build_array(jsonb_build_array(place, buckets(ids, unit = '#', cap ->> 1, t.now)));
    END IF;
  END LOOP;
  RETURN over;
END $$;

CREATE FUNCTION insert_hold(t turn, r jsonb, in_host text, in_currency text, in_created bigint, ids bigint[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO holds (id, purse, purchase, request, keyed, payer, host, currency, units, created, state, money, tries,
      doc, path, signed, nonce, header, owner, claim, accounts)
    VALUES (r ->> 'id', t.purse, r ->> 'purchase', r ->> 'request', r ->> 'keyed' = '1', r ->> 'payer', in_host,
      in_currency, (r ->> 'units')::bigint, in_created, r ->> 'state', r ->> 'money', (r ->> 'tries')::integer,
      r ->> 'doc', r ->> 'path', r ->> 'signed', r ->> 'nonce', r ->> 'header', t.owner, t.token, ids);
END $$;

-- Each name as the stem of an account that counts money, and of one that counts payments.
CREATE FUNCTION stems_of(names text[], in_currency text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (SELECT jsonb_agg(stem)::text FROM unnest(names) name, unnest(ARRAY[in_currency || ':' || name, '#:' || name]) stem);
END $$;

-- What each allowance has counted.
CREATE FUNCTION used_in(t turn, path text[], asked jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT coalesce(jsonb_agg(units::text ORDER BY array_position(path, name)), '[]')
  FROM accounts_of(t.purse, path, asked ->> 'currency')
  );
END $$;

CREATE FUNCTION reserve(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  answer jsonb := met(t, asked);
  path text[] := texts(asked -> 'path');
  names text[];
  ids bigint[];
  over jsonb;
BEGIN
  answer := coalesce(answer, allowance_refusal(t, path));
  IF answer IS NOT NULL THEN RETURN answer; END IF;
  names := names_of(t.purse, (asked -> 'row' ->> 'stems')::jsonb, asked -> 'covering');
  PERFORM FROM accounts_of(t.purse, names, asked ->> 'currency') WHERE units > (asked ->> 'headroom')::numeric;
  IF FOUND THEN RETURN jsonb_build_array('large', t.seq); END IF;
  over := exceeded_by(t, asked);
  IF over <> '[]' AND has_ended_owners(t.purse, t.owner, t.clock) THEN
    PERFORM reap(t);
    over := exceeded_by(t, asked);
  END IF;
  IF over <> '[]' THEN RETURN jsonb_build_array('over', t.seq, over); END IF;
  ids := open_accounts(t.purse, names, asked, path, t.now);
  PERFORM count_payment(ids, (asked -> 'row' ->> 'units')::bigint, t.now);
  PERFORM insert_hold(t, asked -> 'row', asked ->> 'host', asked ->> 'currency', t.now, ids);
  IF t.seq % 256 = 0 THEN PERFORM prune_accounts(t); END IF;
  RETURN jsonb_build_array('new', t.seq, t.now::text, CASE
    WHEN jsonb_array_length((asked -> 'row' ->> 'stems')::jsonb) = 2 * cardinality(names) THEN asked -> 'row' ->> 'stems'
    ELSE stems_of(names, asked ->> 'currency') END, CASE WHEN path = '{}' THEN '[]' ELSE used_in(t, path, asked) END);
END $$;

-- What "reserve" would refuse. It reads alone: nothing is counted, claimed or given back.
CREATE FUNCTION check_order(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  answer jsonb := frozen_for(t, asked);
  over jsonb;
BEGIN
  IF answer IS NULL AND asked ->> 'keyed' = '1' THEN
    -- In this order: a hold that is delivered meanwhile is in one place or the other.
    answer := coalesce(look_at_key(t, asked), ended_before(t, asked));
  END IF;
  answer := coalesce(answer, allowance_refusal(t, texts(asked -> 'path')));
  IF answer IS NOT NULL THEN RETURN answer; END IF;
  over := exceeded_by(t, asked);
  RETURN CASE WHEN over = '[]' THEN jsonb_build_array('ok', t.seq) ELSE jsonb_build_array('over', t.seq, over) END;
END $$;

CREATE FUNCTION record_signature(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  h holds;
  answer jsonb;
BEGIN
  SELECT * INTO h FROM holds WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE FOR UPDATE;
  IF h.id IS NULL OR h.owner <> t.owner THEN RETURN jsonb_build_array('gone', t.seq); END IF;
  IF h.state = 'signed' AND h.nonce = asked ->> 'nonce' THEN RETURN jsonb_build_array('ok', t.seq); END IF;
  IF h.state <> 'reserved' THEN RETURN jsonb_build_array('gone', t.seq); END IF;
  answer := coalesce(frozen_for(t, asked), allowance_refusal(t, texts(h.path::jsonb)));
  IF answer IS NOT NULL THEN RETURN answer; END IF;
  UPDATE holds SET state = 'signed', doc = asked ->> 'doc', signed = asked ->> 'signed', header = asked ->> 'header',
    nonce = asked ->> 'nonce' WHERE id = h.id;
  RETURN jsonb_build_array('ok', t.seq);
END $$;

CREATE FUNCTION release(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  h holds;
BEGIN
  SELECT * INTO h FROM holds WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE FOR UPDATE;
  IF h.state = 'reserved' AND h.owner = t.owner THEN PERFORM drop_hold(h); END IF;
  RETURN jsonb_build_array('ok', t.seq, coalesce(h.state, ''));
END $$;

CREATE FUNCTION close(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  h holds;
BEGIN
  SELECT * INTO h FROM holds WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE FOR UPDATE;
  IF h.id IS NOT NULL THEN
    PERFORM resolve(h, 'delivered', asked ->> 'money', nullif(asked ->> 'receipt', ''),
      asked ->> 'owes' = '1' AND NOT h.charged, t.clock);
  END IF;
  RETURN jsonb_build_array('ok', t.seq);
END $$;

CREATE FUNCTION write_off(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  h holds;
BEGIN
  SELECT * INTO h FROM holds WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE FOR UPDATE;
  IF h.state IS DISTINCT FROM 'signed' OR standing(t, h.owner) <> 'free' THEN
    RETURN jsonb_build_array('not_open', t.seq);
  END IF;
  RETURN jsonb_build_array('hold', t.seq, shown_past(
    resolve(h, 'written_off', 'spent', NULL, asked ->> 'owes' = '1' AND NOT h.charged, t.clock)));
END $$;

-- "units" is what goes on counting of a ceiling, "before" what the caller knew as counted, "rest" what is given back.
CREATE FUNCTION conclude_owed(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  e past;
BEGIN
  SELECT * INTO e FROM past WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE FOR UPDATE;
  IF e.owed IS NOT TRUE OR asked ->> 'units' = '' OR e.units::text <> asked ->> 'before' THEN
    RETURN jsonb_build_array('ok', t.seq, '');
  END IF;
  PERFORM take_back(e.accounts, (asked ->> 'rest')::bigint, 0, e.created);
  UPDATE past SET owed = false, charged = true, units = (asked ->> 'units')::bigint,
    money = CASE WHEN asked ->> 'units' = '0' THEN 'untouched' ELSE 'spent' END WHERE number = e.number;
  RETURN jsonb_build_array('ok', t.seq, '1');
END $$;

CREATE FUNCTION conclude(t turn, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  h holds;
BEGIN
  SELECT * INTO h FROM holds WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE FOR UPDATE;
  IF h.id IS NULL THEN RETURN conclude_owed(t, asked); END IF;
  IF h.state <> 'signed' OR standing(t, h.owner) <> 'free' THEN RETURN jsonb_build_array('ok', t.seq, ''); END IF;
  IF asked ->> 'settled' = '' THEN
    PERFORM drop_hold(h);
  ELSE
    UPDATE holds SET money = 'spent' WHERE id = h.id;
    IF asked ->> 'owes' = '1' AND NOT h.charged AND asked ->> 'units' <> '' AND h.units::text = asked ->> 'before' THEN
      PERFORM take_back(h.accounts, (asked ->> 'rest')::bigint, 0, h.created);
      UPDATE holds SET units = (asked ->> 'units')::bigint, charged = true WHERE id = h.id;
    END IF;
  END IF;
  RETURN jsonb_build_array('ok', t.seq, '1');
END $$;

-- What ended after the purse was not locked is left to the next beat: sums change under the lock alone.
CREATE FUNCTION beat(t turn, asked jsonb, locked boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  p purses;
BEGIN
  IF locked THEN
    PERFORM reap(t);
    PERFORM prune_programs(t);
  END IF;
  PERFORM prune_voids(t);
  SELECT * INTO p FROM purses WHERE purse = t.purse;
  RETURN jsonb_build_array('ok', t.seq, CASE WHEN p.doubted > (asked ->> 'seen')::bigint THEN '1' ELSE '' END, (
    SELECT coalesce(jsonb_agg(known), '[]') FROM jsonb_array_elements_text(asked -> 'unresolved') known
    WHERE (SELECT id FROM holds WHERE id = known) IS NULL));
END $$;

-- A running program writes back what it remembers as unresolved, after the server lost it. If the server has only the
-- reservation of such a hold, it was signed since then.
CREATE FUNCTION write_back(t turn, facts jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r jsonb := facts -> 'row';
  h holds;
  names text[];
  ids bigint[];
BEGIN
  t.token := facts ->> 'claim';
  IF t.token = '' THEN t.owner := ''; END IF;
  SELECT * INTO h FROM holds WHERE id = r ->> 'id' FOR UPDATE;
  IF h.state = 'reserved' THEN
    UPDATE holds SET state = 'signed', doc = r ->> 'doc', signed = r ->> 'signed', header = r ->> 'header',
      nonce = r ->> 'nonce', owner = t.owner, claim = t.token WHERE id = h.id;
  END IF;
  IF h.id IS NOT NULL OR EXISTS (SELECT FROM past WHERE id = r ->> 'id')
    OR EXISTS (SELECT FROM keyed WHERE purse = t.purse AND purchase = r ->> 'purchase' AND id = r ->> 'id') THEN
    RETURN;
  END IF;
  names := names_of(t.purse, (r ->> 'stems')::jsonb, facts -> 'covering');
  ids := open_accounts(t.purse, names, facts, texts((r ->> 'path')::jsonb), t.now);
  PERFORM count_earlier(ids, (r ->> 'units')::bigint, (r ->> 'created')::bigint, t.now);
  PERFORM insert_hold(t, r, facts ->> 'host', facts ->> 'currency', (r ->> 'created')::bigint, ids);
END $$;

CREATE FUNCTION spent(t turn, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT jsonb_build_array('ok', t.seq, jsonb_build_array(counted(
    counting_in(t.purse, asked ->> 'account', split_part(asked ->> 'before', ':', 1), asked ->> 'hosts'),
    false, asked ->> 'window', t.now)::text))
  );
END $$;

CREATE FUNCTION lists(t turn, op text, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT jsonb_build_array('ok', t.seq, coalesce(CASE op
    WHEN 'holds' THEN (SELECT jsonb_agg(shown(h, false, standing(t, h.owner)) ORDER BY h.created, h.id)
      FROM holds h WHERE h.purse = t.purse)
    WHEN 'history' THEN (SELECT jsonb_agg(shown_past(e) ORDER BY e.number DESC) FROM (
      SELECT * FROM past WHERE purse = t.purse ORDER BY number DESC LIMIT (asked ->> 'limit')::bigint) e)
    WHEN 'owed' THEN (SELECT jsonb_agg(shown_past(e) ORDER BY e.number) FROM past e WHERE e.purse = t.purse AND e.owed)
    WHEN 'allowances' THEN (SELECT jsonb_agg(shown_allowance(a, t.now) ORDER BY a.number)
      FROM allowances_of(t.purse, texts(asked -> 'accounts')) a)
  END, '[]'))
  );
END $$;

CREATE FUNCTION purse_step(in_purse text, op text, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  e record;
  t turn;
  answer jsonb;
  facts jsonb;
BEGIN
  e := enter(in_purse, op, asked);
  IF e.refused IS NOT NULL THEN RETURN e.refused; END IF;
  t := e.t;
  IF asked -> 'gives' <> '[]' THEN PERFORM give_up(t, asked -> 'gives'); END IF;
  CASE op
    WHEN 'reserve' THEN answer := reserve(t, asked);
    WHEN 'claim' THEN answer := coalesce(met(t, asked), jsonb_build_array('none', t.seq));
    WHEN 'record' THEN answer := record_signature(t, asked);
    WHEN 'release' THEN answer := release(t, asked);
    WHEN 'close' THEN answer := close(t, asked);
    WHEN 'write_off' THEN answer := write_off(t, asked);
    WHEN 'conclude' THEN answer := conclude(t, asked);
    WHEN 'note' THEN
      UPDATE holds SET last = last_after(asked ->> 'last', last) WHERE id = asked ->> 'id' AND (purse = t.purse) IS TRUE;
      answer := jsonb_build_array('ok', t.seq);
    WHEN 'spent' THEN answer := spent(t, asked);
    WHEN 'check' THEN answer := check_order(t, asked);
    WHEN 'open_allowance' THEN answer := open_allowance(t, asked);
    WHEN 'mark_allowance' THEN answer := mark_allowance(t, asked);
    WHEN 'beat' THEN answer := beat(t, asked, e.locked);
    WHEN 'restore' THEN
      FOR facts IN SELECT jsonb_array_elements(asked -> 'rows') LOOP PERFORM write_back(t, facts); END LOOP;
      answer := jsonb_build_array('ok', t.seq);
    WHEN 'join' THEN
      PERFORM reap(t);
      answer := jsonb_build_array('ok', t.seq, (SELECT identity FROM purses WHERE purse = in_purse),
        CASE WHEN e.made THEN '1' ELSE '' END);
    WHEN 'freeze', 'unfreeze' THEN answer := jsonb_build_array('ok', t.seq);
    ELSE answer := lists(t, op, asked);
  END CASE;
  RETURN jsonb_set(answer, '{1}', to_jsonb(t.seq || ' ' || coalesce(e.life, '')));
END $$;

-- One step of a program: done as a whole or not at all. "written" is the mark of the program's layout and windows,
-- "patience" the milliseconds that it waits for another's lock. A session plans each statement once, mostly while the
-- tables are small. So it must not take them for small: one row after the other is looked up by an index, in its order,
-- and nothing is read to be hashed or merged. Compiling such a plan is never worth it.
CREATE FUNCTION step(in_purse text, op text, said text, written text, patience integer) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, "{schema}", pg_temp
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  asked jsonb := said::jsonb;
BEGIN
  -- In any other isolation a step would read what was there before it had the lock.
  IF current_setting('transaction_isolation') <> 'read committed' THEN RETURN '["isolation"]'; END IF;
  IF (SELECT mark FROM ledger) IS DISTINCT FROM written THEN
    RETURN jsonb_build_array('layout', (SELECT layout FROM ledger))::text;
  END IF;
  PERFORM set_config('lock_timeout', patience::text, true);
  CASE op
    WHEN 'enroll', 'frozen' THEN RETURN (SELECT coalesce(jsonb_agg(pattern), '[]') FROM freezes)::text;
    WHEN 'freeze_all' THEN
      INSERT INTO freezes VALUES (asked ->> 'pattern') ON CONFLICT DO NOTHING;
      RETURN '[]';
    WHEN 'unfreeze_all' THEN
      DELETE FROM freezes WHERE pattern = asked ->> 'pattern';
      RETURN '[]';
    WHEN 'purses' THEN
      RETURN (SELECT coalesce(jsonb_agg(purse), '[]')
              FROM (SELECT purse FROM purses UNION SELECT purse FROM losses) known)::text;
    WHEN 'exists' THEN RETURN EXISTS (SELECT FROM purses WHERE purse = in_purse)::text;
    WHEN 'accept' THEN RETURN accept_loss(in_purse, asked)::text;
    ELSE RETURN purse_step(in_purse, op, asked)::text;
  END CASE;
END $$;
