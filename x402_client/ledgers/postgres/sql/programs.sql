-- Programs: proofs that nothing was lost since a program's last step, that no copy of its memory uses its name, and
-- that it lives.

CREATE FUNCTION clock_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

CREATE FUNCTION texts(list jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (
  SELECT ARRAY(SELECT jsonb_array_elements_text(coalesce(list, '[]')))
  );
END $$;

-- "older": the server lost the step that the program knew. "twin": the program did, as a copy of an older memory.
-- "forgotten": the server deleted the steps of programs that slept long, and it may have been one of these. What a
-- program saw under an earlier name may be deleted at any time. Its first steps under the new one all tell of that, and
-- their token of its life tells them from a copy's.
CREATE FUNCTION judge(p purses, asked jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  known bigint := (asked ->> 'seen')::bigint;
  renamed boolean := asked ->> 'heard_as' <> asked ->> 'owner';
  newest bigint;
  deleted bigint;
BEGIN
  IF known = 0 THEN RETURN 'fine'; END IF;
  PERFORM FROM steps WHERE purse = p.purse AND owner = asked ->> 'heard_as' AND number = known
    AND token = asked ->> 'heard';
  IF FOUND THEN RETURN 'fine'; END IF;
  SELECT max(number) INTO newest FROM steps WHERE purse = p.purse AND owner = asked ->> 'owner';
  IF newest IS NULL OR renamed THEN
    -- Looked at after the steps: a beat deletes and notes it at once.
    SELECT pruned INTO deleted FROM purses WHERE purse = p.purse;
    IF known > deleted THEN RETURN 'older'; END IF;
    RETURN CASE WHEN renamed THEN 'fine' WHEN p.forgets THEN 'forgotten' ELSE 'older' END;
  END IF;
  RETURN CASE WHEN newest < known THEN 'older' ELSE 'twin' END;
END $$;

-- The rule: "proven by a token that a copy of the memory cannot share". A step that is sent twice finds its own.
CREATE FUNCTION is_alone(life text, asked jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT life IS NULL OR asked ->> 'anew' = '1' OR life = asked ->> 'step' OR asked -> 'lives' ? life
$$;

CREATE FUNCTION report_loss(in_purse text, asked jsonb) RETURNS void LANGUAGE sql AS $$
  INSERT INTO losses (purse, identity) SELECT in_purse, asked ->> 'identity'
  WHERE (SELECT count(*) FROM losses WHERE purse = in_purse) < 256 ON CONFLICT DO NOTHING
$$;

-- Returns the purse, or why there is none. A join makes it.
CREATE FUNCTION find_purse(in_purse text, op text, asked jsonb, locks boolean, OUT p purses, OUT refused jsonb)
LANGUAGE plpgsql AS $$
BEGIN
  IF locks THEN
    SELECT * INTO p FROM purses WHERE purse = in_purse FOR UPDATE;
  ELSE
    SELECT * INTO p FROM purses WHERE purse = in_purse;
  END IF;
  IF p.purse IS NOT NULL THEN RETURN; END IF;
  IF asked ->> 'identity' <> '' THEN
    PERFORM report_loss(in_purse, asked);
    refused := '["lost"]';
  ELSIF op <> 'join' THEN
    refused := '["lost"]';
  ELSIF asked ->> 'must_exist' = '1' THEN
    refused := '["missing"]';
  ELSE
    INSERT INTO purses (purse, identity) VALUES (in_purse, asked ->> 'candidate') ON CONFLICT DO NOTHING;
    SELECT * INTO p FROM purses WHERE purse = in_purse FOR UPDATE;
  END IF;
END $$;

-- Returns why the program must not go on. "It refuses; it never goes on from less than it knew": no program does, once
-- one of them knows.
CREATE FUNCTION doubt(p purses, op text, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  judged text;
BEGIN
  IF asked ->> 'identity' <> '' AND p.identity <> asked ->> 'identity' THEN
    PERFORM FROM losses WHERE purse = p.purse AND identity = asked ->> 'identity' AND accepted;
    IF FOUND THEN RETURN '["accepted"]'; END IF;
    PERFORM report_loss(p.purse, asked);
    RETURN '["other"]';
  END IF;
  judged := judge(p, asked);
  IF judged = 'fine' THEN
    IF p.older AND op IN ('reserve', 'claim', 'record', 'write_off', 'conclude', 'open_allowance') THEN
      RETURN '["older"]';
    END IF;
    RETURN NULL;
  END IF;
  IF judged = 'twin' THEN RETURN '["twin"]'; END IF;
  IF (asked ->> 'seen')::bigint <= p.accepted THEN RETURN '["accepted"]'; END IF;
  IF judged = 'older' THEN UPDATE purses SET older = true WHERE purse = p.purse AND NOT older; END IF;
  RETURN '["older"]';
END $$;

-- Writes the program's sign of life: its lease, and its token if this step exchanges it. Returns its token; NULL if this
-- step exchanges it and a copy of its memory did so before. A lease that is long enough is left, so that the steps of
-- one program do not wait for each other. Such a step returns '': it is not known whether it comes before or after one
-- that exchanges the token at this moment, and a program that took an old token for the newer would lose its name.
CREATE FUNCTION sign_of_life(t turn, asked jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  lease bigint := (asked ->> 'lease')::bigint;
  changes boolean := asked ->> 'rotates' = '1' OR asked ->> 'anew' = '1';
  ends bigint;
  kept text;
BEGIN
  IF NOT changes THEN
    SELECT lease_until INTO ends FROM programs WHERE purse = t.purse AND owner = t.owner;
    IF ends - t.clock BETWEEN lease * 3 / 4 AND lease THEN RETURN ''; END IF;
  END IF;
  LOOP
    -- It waits for another step's exchange, and compares with the token that is there then.
    UPDATE programs p SET life = CASE WHEN changes THEN asked ->> 'step' ELSE p.life END, lease_until = clock_now() + lease,
      asleep = NULL WHERE p.purse = t.purse AND p.owner = t.owner AND (NOT changes OR is_alone(p.life, asked)) RETURNING life INTO kept;
    EXIT WHEN kept IS NOT NULL;
    INSERT INTO programs VALUES (t.purse, t.owner, asked -> 'lives' ->> 0, 0, NULL) ON CONFLICT DO NOTHING;
    EXIT WHEN NOT FOUND;
  END LOOP;
  RETURN kept;
END $$;

-- Returns true if another program's lease ran out, and it was not put to sleep yet: it may have unsigned holds.
CREATE FUNCTION has_ended_owners(in_purse text, in_owner text, clock bigint) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM programs WHERE purse = in_purse AND asleep IS NULL AND lease_until <= clock AND owner <> in_owner
  );
END $$;

-- Steps are kept for ten minutes, and what was silent for a month is forgotten.
CREATE FUNCTION kept_since(clock bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT clock - 600000000';
CREATE FUNCTION silent_since(clock bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT clock - 2592000000000';

-- Returns true if a beat has something to delete. It notes in its purse what that was.
CREATE FUNCTION has_old_steps(in_purse text, in_owner text, clock bigint) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce((SELECT made FROM steps WHERE purse = in_purse AND owner = in_owner ORDER BY number LIMIT 1), clock)
      < kept_since(clock)
    OR EXISTS (SELECT FROM programs WHERE purse = in_purse AND asleep < silent_since(clock));
END $$;

-- Steps that count or delete lock their purse first. Then nothing else of it can be counted until they are written, and
-- none that has a lock of its own waits for that of the purse.
CREATE FUNCTION locks_purse(in_purse text, op text, asked jsonb, clock bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT op IN ('reserve', 'claim', 'write_off', 'conclude', 'release', 'restore', 'open_allowance', 'mark_allowance',
                'join')
    OR jsonb_array_length(asked -> 'gives') > 0 OR (op = 'beat' AND (
      has_ended_owners(in_purse, asked ->> 'owner', clock) OR has_old_steps(in_purse, asked ->> 'owner', clock)))
$$;

-- The ledger's time is the server's, but never before the latest payment of the purse.
CREATE FUNCTION time_of(in_purse text, clock bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
  SELECT greatest(clock, max(latest)) FROM accounts WHERE purse = in_purse AND name = ''
  );
END $$;

-- Every step of a purse begins here. "life" is NULL if the step only reads: such a step has no number.
CREATE FUNCTION enter(in_purse text, op text, asked jsonb, OUT t turn, OUT life text, OUT refused jsonb,
  OUT made boolean, OUT locked boolean) LANGUAGE plpgsql AS $$
DECLARE
  kept_purse record;
  reads boolean := op IN ('spent', 'holds', 'history', 'owed', 'allowances', 'check') AND asked ->> 'rotates' = ''
    AND asked ->> 'anew' = '' AND jsonb_array_length(asked -> 'gives') = 0;
  kept text;
  alone boolean;
BEGIN
  -- Before the wait for the lock: meanwhile another step of this program may exchange its token. One that exchanges it
  -- is looked at after the wait, because there is no other of its kind.
  SELECT g.life INTO kept FROM programs g WHERE g.purse = in_purse AND g.owner = asked ->> 'owner';
  alone := asked ->> 'rotates' = '1' OR is_alone(kept, asked);
  locked := locks_purse(in_purse, op, asked, clock_now());
  kept_purse := find_purse(in_purse, op, asked, locked);
  -- A join that is sent twice made the purse, too.
  made := (kept_purse.p).identity = asked ->> 'candidate';
  refused := coalesce(kept_purse.refused, doubt(kept_purse.p, op, asked));
  IF refused IS NOT NULL THEN RETURN; END IF;
  t := (in_purse, asked ->> 'owner', coalesce(asked ->> 'token', ''), clock_now(), 0, 0, (asked ->> 'since')::bigint);
  IF NOT alone THEN
    refused := '["twin"]';
  ELSIF op IN ('reserve', 'claim') AND (kept_purse.p).opens > t.clock AND (kept_purse.p).opens <= t.clock + 5000000 THEN
    refused := jsonb_build_array('settling', ((kept_purse.p).opens - t.clock) / 1000000 + 1);
  ELSIF NOT reads THEN
    life := sign_of_life(t, asked);
    refused := CASE WHEN life IS NULL THEN '["twin"]'::jsonb END;
  END IF;
  IF refused IS NOT NULL THEN RETURN; END IF;
  t.now := time_of(in_purse, t.clock);
  IF reads THEN RETURN; END IF;
  t.seq := nextval('step_numbers');
  INSERT INTO steps VALUES (in_purse, t.owner, t.seq, asked ->> 'step', (asked ->> 'seen')::bigint, t.clock);
END $$;

-- The user accepts the loss. Each program that knew more first writes back what it remembers.
CREATE FUNCTION accept_loss(in_purse text, asked jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  p purses;
  known boolean;
  own text := '';
  wrong boolean;
  reached bigint;
BEGIN
  SELECT * INTO p FROM purses WHERE purse = in_purse FOR UPDATE;
  known := coalesce(p.identity = asked ->> 'identity', false);
  IF known THEN own := judge(p, asked); END IF;
  wrong := coalesce(p.older, false) OR own IN ('older', 'forgotten')
    OR EXISTS (SELECT FROM losses WHERE purse = in_purse AND NOT accepted);
  IF asked ->> 'identity' <> '' AND NOT known THEN
    INSERT INTO losses VALUES (in_purse, asked ->> 'identity') ON CONFLICT DO NOTHING;
    wrong := true;
  END IF;
  IF NOT wrong THEN RETURN '["ok", 0, ""]'; END IF;
  IF p.purse IS NULL THEN
    INSERT INTO purses (purse, identity) VALUES (in_purse, asked ->> 'candidate') ON CONFLICT DO NOTHING;
  END IF;
  -- The time in microseconds is higher than any lost step: each took longer than a microsecond.
  reached := greatest(nextval('step_numbers'), clock_now());
  PERFORM setval('step_numbers', reached);
  UPDATE purses SET older = false, accepted = reached, opens = clock_now() + 5000000 WHERE purse = in_purse;
  UPDATE losses SET accepted = true WHERE purse = in_purse;
  RETURN '["ok", 0, "1"]';
END $$;

-- Deletes the oldest steps of a program that were made before a moment, up to the latest that it acknowledged. Returns
-- the last of them. The loop ends at the first younger one: a busy program made thousands since that moment.
CREATE FUNCTION drop_steps(t turn, before bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  acknowledged bigint := (SELECT max(seen) FROM (
    SELECT seen FROM steps WHERE purse = t.purse AND owner = t.owner ORDER BY number DESC LIMIT 16) latest);
  highest bigint;
  s steps;
BEGIN
  FOR s IN SELECT * FROM steps WHERE purse = t.purse AND owner = t.owner AND number < acknowledged ORDER BY number LIMIT 1000
  LOOP
    EXIT WHEN s.made >= before;
    highest := s.number;
  END LOOP;
  DELETE FROM steps WHERE purse = t.purse AND owner = t.owner AND number <= highest;
  RETURN highest;
END $$;

-- Deletes what proves nothing any more, a little at a time: steps before the latest that their program acknowledged,
-- and all of programs that were silent for a month.
CREATE FUNCTION prune_programs(t turn) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  highest bigint := drop_steps(t, kept_since(t.clock));
  silent text[] := ARRAY(
    SELECT owner FROM programs WHERE purse = t.purse AND asleep < silent_since(t.clock) ORDER BY asleep LIMIT 100
    FOR UPDATE SKIP LOCKED);
BEGIN
  IF silent <> '{}' THEN
    DELETE FROM programs WHERE purse = t.purse AND owner = ANY(silent);
    WITH gone AS (DELETE FROM steps WHERE purse = t.purse AND owner = ANY(silent) RETURNING number)
    SELECT greatest(highest, max(number)) INTO highest FROM gone;
    UPDATE purses SET forgets = true WHERE purse = t.purse;
  END IF;
  IF highest IS NOT NULL THEN
    UPDATE purses SET pruned = greatest(pruned, highest) WHERE purse = t.purse;
  END IF;
END $$;

CREATE FUNCTION prune_voids(t turn) RETURNS void LANGUAGE sql AS $$
  DELETE FROM voids WHERE token = ANY(ARRAY(
    SELECT token FROM voids WHERE until < t.clock ORDER BY until LIMIT 1000 FOR UPDATE SKIP LOCKED))
$$;
