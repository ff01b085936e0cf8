-- The steps by name. First those of one purse.

local ops = {}

function ops.reserve()
  local answer = holds.found() or allowances.refused(asked.path)
  if answer then return answer end
  local accounts = windows.count_in_patterns(asked.row, asked)
  local started = windows.start_accounts(accounts)
  if holds.too_large() then
    windows.forget_accounts(started)
    return { "large", seq }
  end
  local over = holds.exceeded()
  if #over > 0 then
    windows.forget_accounts(started)
    holds.reap()
    started = windows.start_accounts(accounts)
    over = holds.exceeded()
  end
  if #over > 0 then
    windows.forget_accounts(started)
    return { "over", seq, over }
  end
  return holds.new_hold()
end

-- What "reserve" would refuse. Nothing is counted or claimed.
function ops.check()
  local answer = holds.frozen() or (asked.keyed == "1" and holds.look_at_key()) or allowances.refused(asked.path)
  if answer then return answer end
  local started = windows.start_accounts(windows.count_in_patterns(asked.row, asked))
  local over = holds.exceeded()
  windows.forget_accounts(started)
  return #over > 0 and { "over", seq, over } or { "ok", seq }
end

function ops.claim()
  return holds.found() or { "none", seq }
end

function ops.record()
  local row = claims.row_of(asked.id)
  if not row or row.owner ~= asked.owner then return { "gone", seq } end
  if row.state == "signed" and row.nonce == asked.nonce then return { "ok", seq } end
  if row.state ~= "reserved" then return { "gone", seq } end
  local answer = holds.frozen() or allowances.refused(cjson.decode(row.path or "[]"))
  if answer then return answer end
  call("HSET", claims.row_key(row.id), "state", "signed", "doc", asked.doc, "signed", asked.signed, "header", asked.header,
    "nonce", asked.nonce)
  call("ZREM", RESERVED, row.owner .. "/" .. row.id)
  return { "ok", seq }
end

function ops.release()
  local row = claims.row_of(asked.id)
  if row and row.state == "reserved" and row.owner == asked.owner then holds.drop(row) end
  return { "ok", seq, row and row.state or "" }
end

function ops.close()
  local row = claims.row_of(asked.id)
  if row then
    holds.keep_owed(row, holds.resolve(row, "delivered", asked.money, asked.receipt))
  end
  return { "ok", seq }
end

function ops.write_off()
  local row = claims.row_of(asked.id)
  if not row or row.state ~= "signed" or holds.standing(row.owner) ~= "free" then return { "not_open", seq } end
  local entry = holds.resolve(row, "written_off", "spent", row.receipt)
  holds.keep_owed(row, entry)
  return { "hold", seq, entry }
end

function ops.conclude()
  local row = claims.row_of(asked.id)
  if not row then return { "ok", seq, holds.conclude_owed() } end
  if row.state ~= "signed" or holds.standing(row.owner) ~= "free" then return { "ok", seq, "" } end
  if asked.settled == "1" then
    call("HSET", claims.row_key(row.id), "money", "spent")
    if asked.owes == "1" and not row.charged and asked.units ~= "" and row.units == asked.before then
      holds.count_less(row)
      call("HSET", claims.row_key(row.id), "units", row.units, "charged", "1")
    end
  else
    holds.drop(row)
  end
  return { "ok", seq, "1" }
end

-- Returns an answer with what an earlier one showed: that the payment was paid, and that a chain showed it.
local function after(last, before)
  local known = before and cjson.decode(before)
  if not known or known[1] ~= "spent" then return last end
  local told = cjson.decode(last)
  told[1], told[6] = "spent", told[6] or known[6]
  return cjson.encode(told)
end

function ops.note()
  local row = claims.row_key(asked.id)
  if call("EXISTS", row) == 1 then call("HSET", row, "last", after(asked.last, call("HGET", row, "last"))) end
  return { "ok", seq }
end

function ops.spent()
  return { "ok", seq, windows.counted(asked.before, asked.account, asked.hosts, asked.window) }
end

function ops.holds()
  local rows = {}
  for _, id in ipairs(call("ZRANGE", OPEN, 0, -1)) do
    local row = claims.row_of(id)
    if row then
      row.standing = holds.standing(row.owner)
      rows[#rows + 1] = holds.shown(row)
    end
  end
  return { "ok", seq, rows }
end

function ops.history()
  return { "ok", seq, asked.limit > 0 and call("LRANGE", HISTORY, 0, asked.limit - 1) or {} }
end

function ops.owed()
  return { "ok", seq, call("HVALS", OWED) }
end

function ops.freeze()
  call("SADD", FROZEN, asked.pattern)
  return { "ok", seq }
end

function ops.unfreeze()
  call("SREM", FROZEN, asked.pattern)
  return { "ok", seq }
end

ops.open_allowance = allowances.open
ops.mark_allowance = allowances.mark
ops.allowances = allowances.list

function ops.beat()
  holds.reap()
  local doubted, gone = tonumber(call("HGET", META, "doubted") or 0), {}
  for _, id in ipairs(asked.unresolved) do
    if call("EXISTS", claims.row_key(id)) == 0 then gone[#gone + 1] = id end
  end
  return { "ok", seq, doubted > asked.seen and "1" or "", gone }
end

function ops.restore()
  local ids = holds.resolved_ids()
  for _, given in ipairs(asked.rows) do
    if not holds.write_back(given, ids) then return { "large", seq } end
  end
  return { "ok", seq }
end

function ops.join()
  holds.reap()
  for _, pattern in ipairs(asked.patterns) do call("SADD", FROZEN, pattern) end
  return { "ok", seq, call("HGET", META, "identity"), asked.fresh and "1" or "" }
end

-- Steps that concern all purses: their names, and the freezes that later purses take over.

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

function everywhere.purses()
  return call("SMEMBERS", PURSES)
end

function everywhere.exists()
  return call("EXISTS", META) == 1 or programs.is_from_v1()
end

everywhere.accept = programs.accept

-- The commands that a purchase may take. Those of each type leave no key behind. The first writes nothing, and is refused
-- where memory is full: after another one that writes, a server lets a script go on.
local COMMANDS = {
  "SUNIONSTORE {x402}:try", "DEL", "HSET a 1", "HSETNX a 1", "HINCRBY a 1", "HEXISTS a", "HGET a", "HMGET a", "HGETALL", "HKEYS", "HVALS", "HDEL a",
  "LPUSH a", "LSET 0 b", "LRANGE 0 0", "LTRIM 1 0", "SADD a", "SISMEMBER a", "SMEMBERS", "SCARD", "SREM a",
  "ZADD 1 a", "ZSCORE a", "ZCARD", "ZRANGE 0 0", "ZRANGEBYLEX - +", "ZRANGEBYSCORE 0 1", "ZREM a",
  "SET a", "GETRANGE 0 0", "SETRANGE 0 b", "EXISTS", "TYPE", "PEXPIRE 1000", "DEL",
}

-- Makes each of them on a key that is gone when it ends. What the server refuses is its answer.
function everywhere.try()
  for _, command in ipairs(COMMANDS) do
    local words = {}
    for word in string.gmatch(command, "%S+") do words[#words + 1] = word end
    table.insert(words, 2, "{x402}:try")
    local done = redis.pcall(unpack(words))
    if type(done) == "table" and done.err then
      redis.pcall("DEL", "{x402}:try")
      return done
    end
  end
  return true
end

if everywhere[op] then return everywhere[op]() end
local refused = programs.enter()
if refused then return refused end
holds.give_up()
local answer = ops[op]()
answer[2] = text(seq) .. " " .. asked.life
return answer
