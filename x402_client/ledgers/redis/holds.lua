-- Rows: one hash per hold.

local function row_key(id)
  return tag .. ":h:" .. id
end

local function ids_of(purchase)
  return call("LRANGE", tag .. ":p:" .. purchase, 0, -1)
end

local function row_of(id)
  local flat = call("HGETALL", row_key(id))
  if #flat == 0 then return nil end
  local row = {}
  for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end
  return row
end

-- The row as callers see it: the header, which is worth money, only goes to who claimed it.
local function shown(row, whole)
  local header = row.header
  if not whole then row.header = nil end
  local written = cjson.encode(row)
  row.header = header
  return written
end

local function forget(row)
  call("DEL", row_key(row.id))
  call("LREM", tag .. ":p:" .. row.purchase, 0, row.id)
  call("ZREM", OPEN, row.id)
  call("ZREM", RESERVED, row.owner .. "/" .. row.id)
end

local function drop(row)
  each_window(row.stems, function(key, length, stem)
    subtract(key, length, units_of(stem, row.units), tonumber(row.created))
  end)
  forget(row)
end

local function resolve(row, state, money, receipt)
  forget(row)
  row.state, row.money, row.receipt = state, money, receipt
  local entry = shown(row)
  call("LPUSH", HISTORY, entry)
  call("LTRIM", HISTORY, 0, REMEMBERED - 1)
  if row.keyed == "1" and state == "delivered" then call("HSET", PAID, row.purchase, entry) end
  return entry
end

-- Owners: who holds claims, and until when they are believed to live.

-- "busy": its attempt lives. "free": it ended. "doubt": nobody can tell yet.
-- Every step of an owner names the claims of its that ended, and the last step it knew when it wrote that down. So
-- what it wrote knowing that we had asked proves what it does not name alive.
local function standing(row)
  if row.owner == "" then return "free" end
  if row.owner == asked.owner then return "busy" end
  if tonumber(call("ZSCORE", OWNERS, row.owner) or 0) <= clock then return "free" end
  local proof = tonumber(call("HGET", PROOFS, row.owner) or 0)
  return asked.since > 0 and proof >= asked.since and "busy" or "doubt"
end

local function give_back_all_of(owner)
  for _, member in ipairs(call("ZRANGEBYLEX", RESERVED, "[" .. owner .. "/", "(" .. owner .. "0")) do
    local row = row_of(string.sub(member, #owner + 2))
    if row then drop(row) else call("ZREM", RESERVED, member) end
  end
  call("ZREM", OWNERS, owner)
  call("HDEL", PROOFS, owner)
end

local function reap()
  for _, owner in ipairs(call("ZRANGEBYSCORE", OWNERS, "-inf", text(clock))) do
    give_back_all_of(owner)
  end
end

local function unclaim(row)
  if row.state == "reserved" then
    drop(row)
  else
    call("HSET", row_key(row.id), "owner", "", "claim", "")
  end
end

-- Claims of attempts that ended: [purchase, token, "1" if the command that took it may still be under way].
local function give_up()
  for _, given in ipairs(asked.gives) do
    for _, id in ipairs(ids_of(given[1])) do
      local row = row_of(id)
      if row and row.claim == given[2] then unclaim(row) end
    end
    if given[3] == "1" then call("SET", tag .. ":void:" .. given[2], "1", "PX", DELAY) end
  end
end

-- Meeting what is there already.

local function frozen()
  for _, pattern in ipairs(asked.patterns) do
    if call("SISMEMBER", FROZEN, pattern) == 1 then return { "frozen", seq, pattern } end
  end
end

local function rows_of_purchase()
  local rows = {}
  for _, id in ipairs(ids_of(asked.purchase)) do
    local row = row_of(id)
    if row and row.state == "reserved" and standing(row) == "free" then
      drop(row)
    elseif row then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local function take(row)
  if row.claim ~= asked.token then
    row.owner, row.claim, row.tries = asked.owner, asked.token, text(tonumber(row.tries) + 1)
    call("HSET", row_key(row.id), "owner", row.owner, "claim", row.claim, "tries", row.tries)
  end
  return { "hold", seq, shown(row, true) }
end

local function meet()
  local rows, keyed, doubted = rows_of_purchase(), asked.keyed == "1", nil
  local paid = keyed and call("HGET", PAID, asked.purchase)
  if paid then return { "paid", seq, paid } end
  for _, row in ipairs(rows) do
    local how = standing(row)
    if keyed and row.request ~= asked.request then return { "foreign", seq, shown(row) } end
    if row.claim == asked.token or how == "free" then return take(row) end
    if keyed and how == "busy" then return { "busy", seq, shown(row) } end
    if how == "doubt" and (keyed or row.state == "signed") then doubted = row end
  end
  if not doubted then return nil end
  call("HSET", META, "doubted", seq)
  return { "busy", seq, shown(doubted) }
end

local function found()
  if call("EXISTS", tag .. ":void:" .. asked.token) == 1 then return { "void", seq } end
  return frozen() or meet()
end

-- New holds.

local function length_of(name)
  for _, window in ipairs(WINDOWS) do
    if window[1] == name then return window[2] end
  end
end

local function exceeded()
  local over = {}
  for position, cap in ipairs(asked.caps) do
    local key = window_key(cap[1], cap[2])
    if exceeds(roll(key, length_of(cap[2])), cap[3]) then
      over[#over + 1] = { position, call("HGETALL", key) }
    end
  end
  return over
end

-- HINCRBY fails above 64 bits, and nothing may fail after the first write.
local function too_large()
  for _, stem in ipairs(cjson.decode(asked.row.stems)) do
    if exceeds(roll(window_key(stem, "total"), 0), asked.headroom) then return true end
  end
end

local function new_hold()
  local row, flat = asked.row, {}
  row.created, row.owner, row.claim = text(now), asked.owner, asked.token
  each_window(row.stems, function(key, length, stem) add(key, length, units_of(stem, row.units)) end)
  for name, value in pairs(row) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  call("HSET", row_key(row.id), unpack(flat))
  call("RPUSH", tag .. ":p:" .. row.purchase, row.id)
  call("ZADD", OPEN, row.created, row.id)
  call("ZADD", RESERVED, 0, row.owner .. "/" .. row.id)
  return { "new", seq, row.created }
end

local ops = {}

function ops.reserve()
  local answer = found()
  if answer then return answer end
  if too_large() then return { "large", seq } end
  local over = exceeded()
  if #over > 0 then
    reap()
    over = exceeded()
  end
  if #over > 0 then return { "over", seq, over } end
  return new_hold()
end

function ops.claim()
  return found() or { "none", seq }
end

function ops.record()
  local row = row_of(asked.id)
  if row and row.state == "signed" and row.nonce == asked.nonce then return { "ok", seq } end
  if not row or row.state ~= "reserved" then return { "gone", seq } end
  local answer = frozen()
  if answer then return answer end
  call("HSET", row_key(row.id), "state", "signed", "doc", asked.doc, "signed", asked.signed, "header", asked.header,
    "nonce", asked.nonce)
  call("ZREM", RESERVED, row.owner .. "/" .. row.id)
  return { "ok", seq }
end

function ops.release()
  local row = row_of(asked.id)
  if row and row.state == "reserved" then drop(row) end
  return { "ok", seq, row and row.state or "" }
end

function ops.close()
  local row = row_of(asked.id)
  if row then resolve(row, "delivered", asked.money, asked.receipt) end
  return { "ok", seq }
end

function ops.write_off()
  local row = row_of(asked.id)
  if not row or row.state ~= "signed" or standing(row) ~= "free" then return { "not_open", seq } end
  return { "hold", seq, resolve(row, "written_off", "spent", row.receipt) }
end

function ops.conclude()
  local row = row_of(asked.id)
  if not row or row.state ~= "signed" or standing(row) ~= "free" then return { "ok", seq, "" } end
  if asked.settled == "1" then
    call("HSET", row_key(row.id), "money", "spent")
  else
    drop(row)
  end
  return { "ok", seq, "1" }
end

function ops.spent()
  return { "ok", seq, roll(window_key(asked.stem, asked.window), length_of(asked.window)) }
end

function ops.holds()
  local rows = {}
  for _, id in ipairs(call("ZRANGE", OPEN, 0, -1)) do
    local row = row_of(id)
    if row then rows[#rows + 1] = shown(row) end
  end
  return { "ok", seq, rows }
end

function ops.history()
  return { "ok", seq, asked.limit > 0 and call("LRANGE", HISTORY, 0, asked.limit - 1) or {} }
end

function ops.freeze()
  call("SADD", FROZEN, asked.pattern)
  return { "ok", seq }
end

function ops.unfreeze()
  call("SREM", FROZEN, asked.pattern)
  return { "ok", seq }
end

function ops.beat()
  reap()
  local doubted = tonumber(call("HGET", META, "doubted") or 0)
  return { "ok", seq, doubted > asked.seen and "1" or "" }
end

function ops.leave()
  give_back_all_of(asked.owner)
  return { "ok", seq }
end

function ops.join()
  for _, pattern in ipairs(asked.patterns) do call("SADD", FROZEN, pattern) end
  return { "ok", seq, call("HGET", META, "identity"), asked.fresh and "1" or "" }
end

-- The ledger's time is the server's, and never goes back. Leases run on the server's clock as it is; one that reaches
-- further than any lease may was given before the clock was set back.
local function look_at_the_clock(highest)
  local time = call("TIME")
  clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
  now = math.max(clock, tonumber(highest or 0))
  call("HSET", META, "clock", text(now))
  for _, owner in ipairs(call("ZRANGEBYSCORE", OWNERS, "(" .. text(clock + LONGEST_LEASE), "+inf")) do
    call("ZADD", OWNERS, text(clock + asked.lease), owner)
  end
end

local function prove_life()
  call("ZADD", OWNERS, text(clock + asked.lease), asked.owner)
  local proof = tonumber(call("HGET", PROOFS, asked.owner) or 0)
  if asked.seen > proof then call("HSET", PROOFS, asked.owner, text(asked.seen)) end
end

local function enter()
  local known = call("HMGET", META, "identity", "seq", "clock")
  if not known[1] then
    if op ~= "join" or asked.identity ~= "" then return { "lost" } end
    asked.fresh = true
    call("HSET", META, "identity", asked.candidate)
  elseif asked.identity ~= "" and known[1] ~= asked.identity then
    return { "other" }
  elseif tonumber(known[2] or 0) < asked.seen then
    return { "older" }
  end
  seq = call("HINCRBY", META, "seq", 1)
  look_at_the_clock(known[3])
  prove_life()
  give_up()
end

-- What concerns every purse: their names, and what is frozen in a purse that is yet to come.

local everywhere = {}

function everywhere.enroll()
  call("SADD", PURSES, asked.purse)
  return call("SMEMBERS", FROZEN)
end

function everywhere.freeze_all()
  call("SADD", FROZEN, asked.pattern)
  return call("SMEMBERS", PURSES)
end

function everywhere.unfreeze_all()
  call("SREM", FROZEN, asked.pattern)
  return call("SMEMBERS", PURSES)
end

function everywhere.frozen()
  return call("SMEMBERS", FROZEN)
end

if everywhere[op] then return everywhere[op]() end
return enter() or ops[op]()
