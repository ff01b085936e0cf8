-- Programs: proofs that nothing was lost since a program's last step, that no copy of its memory uses its name, and
-- that it lives.

local programs = {}
local OWNERS, PROGRAMS, SLEEPING, RING = tag .. ":owners", tag .. ":programs", tag .. ":sleeping", tag .. ":ring"
-- Identities of lost stores: those that programs reported, and those whose loss was accepted.
local REPORTED, ACCEPTED = tag .. ":pleas", tag .. ":heirs"
local limits = {
  layout = "4",
  before = { ["2"] = true, ["3"] = true }, -- without allowances; with a list of holds for each purchase
  ring = 1024, -- steps
  token = 16, -- characters of a step's token
  told = 256, -- answered steps that a program has not acknowledged
  asleep = 16384, -- programs remembered after the end of their lease
  lost = 256, -- identities of lost stores that programs reported
  lease = 60000000, -- microseconds of the longest lease
  grace = 5000000, -- microseconds in which running programs write back what they remember
}

-- An entry has the step up to which the program proved that it lives, and the token of its life. Then follows each
-- answered step that the program has not acknowledged, with the step's token.
function programs.find(owner)
  local kept = call("HGET", PROGRAMS, owner)
  if not kept then return nil end
  local words = {}
  for word in string.gmatch(kept, "%S+") do words[#words + 1] = word end
  return { proof = tonumber(words[1]), life = words[2], told = { unpack(words, 3) } }
end

function programs.number_of(step)
  return tonumber(string.match(step, "^%d+"))
end

-- The rule: "a step sends the highest pair its program saw, and either place must confirm it": the ring of the latest
-- steps, or what this program itself was told. "older": the server lost the step. "twin": the program did: it is a copy
-- of an older memory. "forgotten": the server dropped entries of programs that slept long, so that a program without
-- one may have been among them. Where none was dropped, a program without an entry joined after the copy: "older".
-- What a program saw under an earlier name is with that name's entry. Its first steps under the new one all tell of it,
-- and their token of its life tells them from a copy's.
function programs.judge(program, reached)
  if asked.seen == 0 then return "fine" end
  if reached < asked.seen then return "older" end
  if reached - asked.seen < limits.ring then
    local at = asked.seen % limits.ring * limits.token
    return call("GETRANGE", RING, at, at + limits.token - 1) == asked.heard and "fine" or "older"
  end
  if asked.heard_as ~= asked.owner then return "fine" end
  if not program then return call("HEXISTS", META, "forgets") == 1 and "forgotten" or "older" end
  local newest, wanted = 0, text(asked.seen) .. ":" .. asked.heard
  for _, step in ipairs(program.told) do
    if step == wanted then return "fine" end
    newest = math.max(newest, programs.number_of(step))
  end
  return newest < asked.seen and "older" or "twin"
end

-- The rule: "proven by a token that a copy of the memory cannot share". A step that is sent twice finds its own.
function programs.is_alone(program)
  if not program or asked.anew == "1" or program.life == asked.step then return true end
  for _, life in ipairs(asked.lives) do
    if life == program.life then return true end
  end
  return false
end

function programs.remember_step(program)
  local at = seq % limits.ring * limits.token
  call("SETRANGE", RING, at, asked.step)
  program = program or { proof = 0, told = {} }
  program.life = program.life or asked.lives[1]
  if asked.rotates == "1" or asked.anew == "1" then program.life = asked.step end
  local words = { text(math.max(program.proof, asked.seen)), program.life }
  local told = asked.anew == "1" and {} or program.told
  for i = math.max(1, #told - limits.told + 1), #told do
    if programs.number_of(told[i]) >= asked.seen then words[#words + 1] = told[i] end
  end
  words[#words + 1] = text(seq) .. ":" .. asked.step
  call("HSET", PROGRAMS, asked.owner, table.concat(words, " "))
  return program.life
end

-- The ledger's time is the server's, but never goes back. Leases use the server's clock as it is. A lease that lasts
-- longer than any may was given before the clock was set back.
function programs.look_at_the_clock(highest)
  local time = call("TIME")
  clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
  now = math.max(clock, tonumber(highest or 0))
end

function programs.mark_the_clock()
  call("HSET", META, "clock", text(now))
  for _, owner in ipairs(call("ZRANGEBYSCORE", OWNERS, "(" .. text(clock + limits.lease), "+inf")) do
    call("ZADD", OWNERS, text(clock + asked.lease), owner)
  end
end

function programs.renew_lease()
  if call("ZADD", OWNERS, text(clock + asked.lease), asked.owner) == 1 then call("ZREM", SLEEPING, asked.owner) end
end

-- A program whose lease ran out may only be idle. Its entry is kept until many others were put to sleep after it.
function programs.put_to_sleep(owner)
  call("ZREM", OWNERS, owner)
  call("ZADD", SLEEPING, text(clock), owner)
  local more = call("ZCARD", SLEEPING) - limits.asleep
  if more <= 0 then return end
  call("HSET", META, "forgets", "1")
  for _, old in ipairs(call("ZRANGE", SLEEPING, 0, more - 1)) do
    call("ZREM", SLEEPING, old)
    call("HDEL", PROGRAMS, old)
  end
end

-- The store itself.

programs.v1 = tag .. ":meta" -- the state as version 0.1 kept it
programs.v1_windows = "day=86400000000 hour=3600000000 minute=60000000 month=2592000000000 total=0"

function programs.is_from_v1()
  return call("TYPE", programs.v1).ok == "hash"
end

-- Programs of two layouts never share a store: after this, version 0.1 fails at each step.
function programs.close_to_v1()
  call("SET", programs.v1, "moved: this ledger is used by a later version")
end

function programs.start_store()
  asked.fresh = true
  call("HSET", META, "identity", asked.candidate, "layout", limits.layout, "windows", WRITTEN_WINDOWS)
  programs.close_to_v1()
end

function programs.is_pattern(name)
  return string.sub(name, 1, 1) == "*" or string.match(name, "^[^:]+:%d+$") or string.match(name, "^%[.+%]:%d+$")
end

-- In version 0.1 a pattern did not count what a more exact entry counted. So it starts again from its hosts.
function programs.add_hosts_of_v1()
  local before = tag .. ":w:total:"
  for _, key in ipairs(call("KEYS", before .. "*")) do
    local stem = string.sub(key, #before + 1)
    local name = string.match(stem, "^[^:]*:(.+)$")
    if name and programs.is_pattern(name) then
      for window in string.gmatch(programs.v1_windows, "(%a+)=") do call("DEL", windows.key(stem, window)) end
    elseif name then
      call("SADD", HOSTS, name)
    end
  end
end

function programs.migrate()
  local kept = call("HMGET", programs.v1, "seq", "clock")
  call("HSET", META, "identity", asked.candidate, "layout", limits.layout, "windows", programs.v1_windows, "former", "1",
    "seq", kept[1] or "0", "clock", kept[2] or "0")
  call("DEL", tag .. ":proofs")
  programs.add_hosts_of_v1()
  claims.place_all()
  programs.close_to_v1()
end

-- A program that is refused reports the identity of the store that it knew, for ``accept``.
function programs.report_loss(status)
  if call("SCARD", REPORTED) < limits.lost then call("SADD", REPORTED, asked.identity) end
  return { status }
end

function programs.read_store()
  local names = { "identity", "seq", "clock", "layout", "windows", "older", "accepted", "opens", "former" }
  local values, store = call("HMGET", META, unpack(names)), {}
  for i, name in ipairs(names) do store[name] = values[i] or nil end
  store.seq, store.accepted = tonumber(store.seq or 0), tonumber(store.accepted or 0)
  return store
end

function programs.find_store()
  local store = programs.read_store()
  if store.identity then return store end
  if asked.identity ~= "" then return nil, programs.report_loss("lost") end
  if op ~= "join" then return nil, { "lost" } end
  if programs.is_from_v1() then
    programs.migrate()
  elseif asked.must_exist == "1" then
    return nil, { "missing" }
  else
    programs.start_store()
  end
  return programs.read_store()
end

-- Steps that are refused once a program saw a loss; and those that are refused for a moment after it was accepted.
programs.paying = { reserve = true, claim = true, record = true, write_off = true, conclude = true,
  open_allowance = true }
programs.claiming = { reserve = true, claim = true }

function programs.doubt(store, program)
  if asked.identity ~= "" and store.identity ~= asked.identity then
    return call("SISMEMBER", ACCEPTED, asked.identity) == 1 and { "accepted" } or programs.report_loss("other")
  end
  local judged = programs.judge(program, store.seq)
  if judged == "fine" then
    if not programs.is_alone(program) then return { "twin" } end
    if store.older and programs.paying[op] then return { "older" } end
    return nil
  end
  if judged == "twin" then return { "twin" } end
  if asked.seen <= store.accepted then return { "accepted" } end
  -- "It refuses; it never goes on from less than it knew": no program does, once one of them knows.
  if judged == "older" then call("HSET", META, "older", "1") end
  return { "older" }
end

function programs.enter()
  local store, refused = programs.find_store()
  if not store then return refused end
  -- "Programs of two layouts never share a store": those of the layout before stop at their next step.
  if limits.before[store.layout] and op == "join" then
    store.layout = limits.layout
    call("HSET", META, "layout", limits.layout)
    claims.place_all()
  end
  if store.layout ~= limits.layout then return { "layout" } end
  local program = programs.find(asked.owner)
  programs.look_at_the_clock(store.clock)
  refused = programs.doubt(store, program)
  if refused then return refused end
  if not windows.same_windows(store.windows) then return { "windows" } end
  local opens = tonumber(store.opens or 0)
  if programs.claiming[op] and opens > clock and opens <= clock + limits.grace then
    return { "settling", math.ceil((opens - clock) / 1000000) }
  end
  asked.former = store.former
  seq = call("HINCRBY", META, "seq", 1)
  programs.mark_the_clock()
  asked.life = programs.remember_step(program)
  programs.renew_lease()
end

-- The user accepts the loss. Each program that knew more first writes back what it remembers.
function programs.accept()
  local store = programs.read_store()
  local known = store.identity and store.identity == asked.identity
  local own = known and programs.judge(programs.find(asked.owner), store.seq)
  local wrong = store.older or call("SCARD", REPORTED) > 0 or own == "older" or own == "forgotten"
  if asked.identity ~= "" and not known then
    call("SADD", REPORTED, asked.identity)
    wrong = true
  end
  if not wrong then return { "ok", store.seq, "" } end
  if not store.identity then programs.start_store() end
  programs.look_at_the_clock(store.clock)
  -- The time in microseconds is higher than any lost step: each took longer than a microsecond.
  local reached = text(math.max(store.seq + 1, now))
  call("HDEL", META, "older")
  call("HSET", META, "seq", reached, "accepted", reached, "opens", text(clock + limits.grace))
  call("SUNIONSTORE", ACCEPTED, ACCEPTED, REPORTED)
  call("DEL", REPORTED)
  return { "ok", store.seq, "1" }
end
