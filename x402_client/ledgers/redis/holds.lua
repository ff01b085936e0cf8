local holds = {}
local RESERVED, PAID, HISTORY = tag .. ":reserved", tag .. ":paid", tag .. ":history"
local OWED = tag .. ":owed"
local FROZEN, PURSES = tag .. ":frozen", tag .. ":purses"
local REMEMBERED = 1000
local DELAY = 3600000 -- milliseconds by which a command may come late, after its caller gave up

-- Rows: one hash per hold.

-- Returns the row as callers see it. The header is worth money: only the claiming attempt gets it.
function holds.shown(row, whole)
  local header = row.header
  if not whole then row.header = nil end
  local written = cjson.encode(row)
  row.header = header
  return written
end

function holds.forget(row)
  call("DEL", claims.row_key(row.id))
  claims.take_out(row)
  call("ZREM", OPEN, row.id)
  call("ZREM", RESERVED, row.owner .. "/" .. row.id)
end

function holds.drop(row)
  windows.each_window(row.stems, function(key, length, stem)
    windows.subtract(key, length, windows.units_of(stem, row.units), tonumber(row.created))
  end)
  holds.forget(row)
end

function holds.resolve(row, state, money, receipt)
  holds.forget(row)
  row.state, row.money, row.receipt = state, money, receipt
  local entry = holds.shown(row)
  call("LPUSH", HISTORY, entry)
  call("LTRIM", HISTORY, 0, REMEMBERED - 1)
  if row.keyed == "1" then call("HSET", PAID, row.purchase, entry) end
  return entry
end

-- Open amounts: what resolved ceilings can still take. One hash, by the hold's id.

function holds.keep_owed(row, entry)
  if asked.owes == "1" and not row.charged then call("HSET", OWED, row.id, entry) end
end

-- Takes units off what a row counts, where they still count. It stays one payment.
function holds.count_less(row)
  windows.each_window(row.stems, function(key, length, stem)
    if string.sub(stem, 1, 2) ~= "#:" then windows.subtract(key, length, asked.rest, tonumber(row.created)) end
  end)
  row.units, row.charged = asked.units, "1"
end

-- "units" is what goes on counting, "before" what the caller knew as counted. Without "units" it stays open.
function holds.conclude_owed()
  local entry = call("HGET", OWED, asked.id)
  local row = entry and cjson.decode(entry)
  if not row or asked.units == "" or row.units ~= asked.before then return "" end
  call("HDEL", OWED, asked.id)
  holds.count_less(row)
  row.money = row.units == "0" and "untouched" or "spent"
  for place, past in ipairs(call("LRANGE", HISTORY, 0, -1)) do
    if cjson.decode(past).id == row.id then call("LSET", HISTORY, place - 1, cjson.encode(row)) end
  end
  return "1"
end

-- Owners: programs that have claims. Each is believed to live until its lease ends.

-- "busy": the attempts of an owner live. "free": they ended. "doubt": the server cannot tell yet.
-- Every step of an owner lists its claims that ended, with the last step that it knew when it made the list. If it knew
-- of a step since the asking attempt began to wait, then the claims that it did not list are alive.
function holds.standing(owner)
  if owner == "" then return "free" end
  if owner == asked.owner then return "busy" end
  if tonumber(call("ZSCORE", OWNERS, owner) or 0) <= clock then return "free" end
  local program = programs.find(owner)
  local proof = program and program.proof or 0
  return asked.since > 0 and proof >= asked.since and "busy" or "doubt"
end

function holds.give_back_all_of(owner)
  for _, member in ipairs(call("ZRANGEBYLEX", RESERVED, "[" .. owner .. "/", "(" .. owner .. "0")) do
    local row = claims.row_of(string.sub(member, #owner + 2))
    if row then holds.drop(row) else call("ZREM", RESERVED, member) end
  end
end

function holds.reap()
  for _, owner in ipairs(call("ZRANGEBYSCORE", OWNERS, "-inf", text(clock))) do
    holds.give_back_all_of(owner)
    programs.put_to_sleep(owner)
  end
end

-- A claim whose answer never came made a hold that no program has seen: what was signed for it was not sent.
function holds.unclaim(row, unheard)
  if row.state == "reserved" or (unheard and row.tries == "0") then
    holds.drop(row)
  else
    claims.give(row, "", "")
  end
end

-- Claims of attempts that ended: [token, "1" if the command that took it may still be under way].
function holds.give_up()
  for _, given in ipairs(asked.gives) do
    local row = claims.of_token(given[1])
    if row then holds.unclaim(row, given[2] == "1") end
    if given[2] == "1" then call("SET", tag .. ":void:" .. given[1], "1", "PX", DELAY) end
  end
end

-- After a loss: claims of this program that it gave up in steps that were lost.
function holds.give_up_lost()
  for _, id in ipairs(call("ZRANGE", OPEN, 0, -1)) do
    local row = claims.row_of(id)
    if row and row.owner == asked.owner and not holds.is_in(asked.alive, row.claim) then holds.unclaim(row, false) end
  end
end

-- What a request meets: freezes, deliveries under its key, and open holds.

function holds.frozen()
  for _, pattern in ipairs(asked.patterns) do
    if call("SISMEMBER", FROZEN, pattern) == 1 then return { "frozen", seq, pattern } end
  end
end

-- The rule: "while rows from before are unresolved or keyed, look-ups also use their old name".
function holds.names()
  return asked.former and asked.purchases or { asked.purchases[1] }
end

function holds.rows_of_purchase()
  local rows = {}
  for _, name in ipairs(holds.names()) do
    for _, member in ipairs(call("ZRANGE", claims.key(name), 0, -1)) do
      local row = claims.row_of(claims.id_of(member))
      if row and row.state == "reserved" and holds.standing(row.owner) == "free" then
        holds.drop(row)
      elseif row then
        rows[#rows + 1] = row
      end
    end
  end
  return rows
end

-- A key stays with its request: one that was written off buys anew for that request alone.
function holds.ended_before()
  for _, name in ipairs(holds.names()) do
    local entry = call("HGET", PAID, name)
    local past = entry and cjson.decode(entry)
    if past and past.state == "delivered" then return { "paid", seq, entry } end
    if past and not holds.is_in(asked.requests, past.request) then return { "foreign", seq, entry } end
  end
end

function holds.is_in(list, value)
  for _, each in ipairs(list) do
    if each == value then return true end
  end
  return false
end

-- The rule: "an unresolved hold is claimed only if its payer is one of this wallet's addresses".
function holds.pays(row)
  return not row.payer or row.payer == "" or #asked.payers == 0 or holds.is_in(asked.payers, row.payer)
end

-- A command that is sent twice finds its own claim. The owner has to be the same too: copies of a program's memory may
-- share a token.
function holds.is_own_claim(row)
  return row.claim == asked.token and row.owner == asked.owner
end

function holds.take(row)
  if not holds.is_own_claim(row) then
    claims.give(row, asked.owner, asked.token)
    row.tries = text(tonumber(row.tries) + 1)
    call("HSET", claims.row_key(row.id), "tries", row.tries)
  end
  return { "hold", seq, holds.shown(row, true) }
end

function holds.doubt(row)
  call("HSET", META, "doubted", seq)
  return { "busy", seq, holds.shown(row) }
end

function holds.meet_keyed_row(row)
  local how = holds.standing(row.owner)
  if not holds.is_in(asked.requests, row.request) then return { "foreign", seq, holds.shown(row) } end
  if holds.is_own_claim(row) or (how == "free" and holds.pays(row)) then return holds.take(row) end
  if how == "free" then return { "another", seq, holds.shown(row) } end
  return how == "busy" and { "busy", seq, holds.shown(row) } or holds.doubt(row)
end

-- Under a key one attempt at a time sends, in all programs. So there is one row at most.
function holds.meet_keyed()
  local rows = holds.rows_of_purchase()
  return holds.ended_before() or (rows[1] and holds.meet_keyed_row(rows[1]))
end

-- What a key means for a request that claims nothing.
function holds.look_at_key()
  local row = holds.rows_of_purchase()[1]
  local ended = holds.ended_before()
  if ended or not row then return ended end
  if not holds.is_in(asked.requests, row.request) then return { "foreign", seq, holds.shown(row) } end
  if holds.standing(row.owner) ~= "free" then return { "busy", seq, holds.shown(row) } end
  return not holds.pays(row) and { "another", seq, holds.shown(row) } or nil
end

-- Unsigned holds of attempts that ended are given back on the way.
function holds.is_claimable(row, how)
  if row.state ~= "reserved" then return holds.pays(row) end
  if how == "free" then holds.drop(row) end
  return false
end

-- Returns the oldest hold that nothing presents, and one of an owner that may have ended.
function holds.oldest()
  local free, doubted
  for _, name in ipairs(holds.names()) do
    for _, owner in ipairs(claims.owners(name)) do
      local how = holds.standing(owner)
      local row = how ~= "busy" and claims.oldest(name, owner, function(row) return holds.is_claimable(row, how) end)
      if row and how == "doubt" then
        doubted = row
      elseif row and not (free and tonumber(free.created) <= tonumber(row.created)) then
        free = row
      end
    end
  end
  return free, doubted
end

function holds.meet()
  if asked.keyed == "1" then return holds.meet_keyed() end
  local own = claims.of_token(asked.token)
  if own then return holds.take(own) end
  local free, doubted = holds.oldest()
  if free then return holds.take(free) end
  return doubted and holds.doubt(doubted)
end

function holds.found()
  if call("EXISTS", tag .. ":void:" .. asked.token) == 1 then return { "void", seq } end
  return holds.frozen() or holds.meet()
end

-- New holds.

function holds.exceeded()
  local over = {}
  for position, cap in ipairs(asked.caps) do
    local key = windows.key(cap[1], cap[2])
    if windows.exceeds(windows.roll(key, windows.length_of(cap[2])), cap[3]) then
      over[#over + 1] = { position, call("HGETALL", key) }
    end
  end
  return over
end

-- HINCRBY fails above 64 bits, and nothing may fail after the first write.
function holds.too_large()
  for _, stem in ipairs(cjson.decode(asked.row.stems)) do
    if windows.exceeds(windows.roll(windows.key(stem, "total"), 0), asked.headroom) then return true end
  end
end

-- Writes a row, and counts its price at the moment when it was reserved.
function holds.enter_row(row, facts)
  local flat = {}
  windows.each_window(row.stems, function(key, length, stem)
    windows.add(key, length, windows.units_of(stem, row.units), tonumber(row.created))
  end)
  for name, value in pairs(row) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  call("HSET", claims.row_key(row.id), unpack(flat))
  claims.place(row)
  call("ZADD", OPEN, row.created, row.id)
  call("SADD", HOSTS, facts.host)
  -- Accounts of one request each: what they counted in all is asked for no more once their longest window rolled away.
  for _, stem in ipairs(facts.fading) do call("PEXPIRE", windows.key(stem, "total"), facts.fade) end
end

function holds.new_hold()
  local row = asked.row
  if call("EXISTS", claims.row_key(row.id)) == 1 then return { "void", seq } end
  row.created, row.owner, row.claim = text(now), asked.owner, asked.token
  holds.enter_row(row, asked)
  if row.state == "reserved" then call("ZADD", RESERVED, 0, row.owner .. "/" .. row.id) end
  return { "new", seq, row.created, row.stems, allowances.used(asked.path, asked.currency) }
end

-- Holds that a running program remembers as unresolved, after the server lost them.

function holds.resolved_ids()
  local ids = {}
  for _, entry in ipairs(call("LRANGE", HISTORY, 0, -1)) do ids[cjson.decode(entry).id] = true end
  return ids
end

function holds.is_resolved(row, ids)
  local paid = call("HGET", PAID, row.purchase)
  return ids[row.id] or (paid and cjson.decode(paid).id == row.id)
end

function holds.has_room(row)
  local half = "4611686018427387903"
  for _, stem in ipairs(cjson.decode(row.stems)) do
    if windows.exceeds(windows.roll(windows.key(stem, "total"), 0), half) then return false end
  end
  return not windows.exceeds(row.units, half)
end

-- If the server has only the reservation of such a hold, it was signed since then. One that it has whole may have another
-- attempt's claim, which ended since then.
function holds.write_back(given, ids)
  local row, known = given.row, claims.row_of(given.row.id)
  row.claim = given.claim
  row.owner = given.claim ~= "" and asked.owner or ""
  if known and known.state == "reserved" then
    call("ZREM", RESERVED, known.owner .. "/" .. row.id)
    call("HSET", claims.row_key(row.id), "state", "signed", "doc", row.doc, "signed", row.signed, "header", row.header,
      "nonce", row.nonce)
    claims.give(known, row.owner, row.claim)
  elseif known and row.claim ~= "" and (known.owner == "" or known.owner == asked.owner) then
    claims.give(known, row.owner, row.claim)
  elseif not known and not holds.is_resolved(row, ids) then
    windows.start_accounts(windows.count_in_patterns(row, given))
    if not holds.has_room(row) then return false end
    holds.enter_row(row, given)
  end
  return true
end
