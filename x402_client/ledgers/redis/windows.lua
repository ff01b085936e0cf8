-- The script of the ledger. Each call is one step, which is done as a whole or not at all. Python writes WINDOWS,
-- BUCKETS and WRITTEN_WINDOWS above this. Lua counts in doubles: amounts stay text here, and only HINCRBY adds them up.
-- Times are microseconds.

-- Functions are kept in tables. Each call of the script makes them again, and that takes longer with more locals.

local windows = {}
local op, asked = ARGV[1], cjson.decode(ARGV[2])
local call = redis.call
local tag = string.sub(KEYS[1], 1, -7) -- what is left without ":state"
local META, HOSTS = KEYS[1], tag .. ":hosts"
local clock, now, seq

local function text(number)
  return string.format("%.0f", number)
end

-- Returns true if a > b, for whole numbers as text. If b is negative, nothing fits under it.
function windows.exceeds(a, b)
  if string.sub(b, 1, 1) == "-" then return true end
  if string.sub(a, 1, 1) == "-" then return false end
  if #a ~= #b then return #a > #b end
  local high_a, high_b = tonumber(string.sub(a, 1, 10)), tonumber(string.sub(b, 1, 10))
  if high_a ~= high_b then return high_a > high_b end
  return tonumber("0" .. string.sub(a, 11)) > tonumber("0" .. string.sub(b, 11))
end

-- Windows: a hash of buckets by number, with their sum in "t" and the oldest number that may be there in "o".

function windows.key(stem, name)
  return tag .. ":w:" .. name .. ":" .. stem
end

function windows.units_of(stem, units)
  return string.sub(stem, 1, 2) == "#:" and "1" or units
end

function windows.take_away(key, field, units)
  if units ~= "0" then call("HINCRBY", key, field, "-" .. units) end
end

-- Drops what is older than the window. Returns the sum of the rest.
function windows.roll(key, length)
  local kept = call("HMGET", key, "t", "o")
  if not kept[1] then return "0" end
  if length == 0 then return kept[1] end
  local width = length / BUCKETS
  local first, oldest = math.floor((now - length) / width), tonumber(kept[2])
  if oldest >= first then return kept[1] end
  for number = oldest, math.min(first - 1, oldest + BUCKETS + 1) do
    local units = call("HGET", key, text(number))
    if units then
      windows.take_away(key, "t", units)
      call("HDEL", key, text(number))
    end
  end
  call("HSET", key, "o", text(first))
  return call("HGET", key, "t")
end

-- Counts nothing if the moment has rolled out of the window.
function windows.add(key, length, units, at)
  windows.roll(key, length)
  if length ~= 0 then
    local width = length / BUCKETS
    local number = math.floor(at / width)
    if number < math.floor((now - length) / width) then return end
    call("HINCRBY", key, text(number), units)
    if call("HSETNX", key, "o", text(number)) == 0 and number < tonumber(call("HGET", key, "o")) then
      call("HSET", key, "o", text(number))
    end
    call("PEXPIRE", key, text((length + 2 * width) / 1000))
  end
  call("HINCRBY", key, "t", units)
end

-- Gives nothing back if the bucket has rolled out of the window.
function windows.subtract(key, length, units, at)
  local number = length == 0 and "t" or text(math.floor(at / (length / BUCKETS)))
  if call("HEXISTS", key, number) == 0 then return end
  windows.take_away(key, number, units)
  if length ~= 0 then windows.take_away(key, "t", units) end
end

function windows.each_window(stems, change)
  for _, stem in ipairs(cjson.decode(stems)) do
    for _, window in ipairs(WINDOWS) do change(windows.key(stem, window[1]), window[2], stem) end
  end
end

function windows.length_of(name)
  for _, window in ipairs(WINDOWS) do
    if window[1] == name then return window[2] end
  end
end

-- The rule: "An account seen for the first time starts from the sums of the hosts it matches."

function windows.covers(pattern, host)
  if string.sub(pattern, 1, 2) ~= "*." then return host == pattern end
  return string.sub(host, 1 - #pattern) == string.sub(pattern, 2)
end

function windows.add_all_of(from, key, length)
  windows.roll(from, length)
  local flat, oldest = call("HGETALL", from), nil
  for i = 1, #flat, 2 do
    if flat[i] == "o" then
      oldest = tonumber(flat[i + 1])
    elseif flat[i + 1] ~= "0" then
      call("HINCRBY", key, flat[i], flat[i + 1])
    end
  end
  if length == 0 or not oldest then return end
  local known = tonumber(call("HGET", key, "o"))
  if not known or oldest < known then call("HSET", key, "o", text(oldest)) end
  call("PEXPIRE", key, text((length + 2 * length / BUCKETS) / 1000))
end

-- Starts the accounts that are missing. Returns their stems.
function windows.start_accounts(accounts)
  local started = {}
  for _, each in ipairs(accounts) do
    local before, stem, pattern = each[1], each[1] .. each[2], each[3]
    if call("EXISTS", windows.key(stem, "total")) == 0 then
      started[#started + 1] = stem
      for _, host in ipairs(call("SMEMBERS", HOSTS)) do
        if windows.covers(pattern, host) then
          for _, window in ipairs(WINDOWS) do
            windows.add_all_of(windows.key(before .. host, window[1]), windows.key(stem, window[1]), window[2])
          end
        end
      end
    end
  end
  return started
end

-- A refusal starts no account: it would still count what its hosts give back later.
function windows.forget_accounts(started)
  for _, stem in ipairs(started) do
    for _, window in ipairs(WINDOWS) do call("DEL", windows.key(stem, window[1])) end
  end
end

-- Returns the patterns that have an account although the payer's policy does not name them.
function windows.known_patterns(covering)
  local keys, names, found = {}, {}, {}
  for _, each in ipairs(covering) do
    if each[3] == "" then
      keys[#keys + 1] = windows.key("#:" .. each[1], "total")
      names[#names + 1] = each[1]
    end
  end
  if #keys == 0 or call("EXISTS", unpack(keys)) == 0 then return found end
  for i, key in ipairs(keys) do found[names[i]] = call("EXISTS", key) == 1 end
  return found
end

-- The rule: "Every matching entry of `hosts` counts", in any program's policy. A row counts in each pattern that has an
-- account. It also counts in those that its own policy names: they get an account. ``facts`` has the currency and all
-- patterns that cover the host, each with its hosts. Returns the accounts in which the row counts.
function windows.count_in_patterns(row, facts)
  local known, stems, accounts = windows.known_patterns(facts.covering), nil, {}
  for _, each in ipairs(facts.covering) do
    local name, pattern, named = each[1], each[2], each[3] == "1"
    if named or known[name] then
      if not named then stems = stems or cjson.decode(row.stems) end
      for _, before in ipairs({ facts.currency .. ":", "#:" }) do
        accounts[#accounts + 1] = { before, name, pattern }
        if not named then stems[#stems + 1] = before .. name end
      end
    end
  end
  if stems then row.stems = cjson.encode(stems) end
  return accounts
end

-- Returns the sums that make up an account: its own, or those of the hosts from which it would start. It starts no
-- account: payments would not count in that, and it would know too little later.
function windows.counted(before, account, hosts, name)
  local length, sums = windows.length_of(name), {}
  if hosts == "" or call("EXISTS", windows.key(before .. account, "total")) == 1 then
    return { windows.roll(windows.key(before .. account, name), length) }
  end
  for _, host in ipairs(call("SMEMBERS", HOSTS)) do
    if windows.covers(hosts, host) then sums[#sums + 1] = windows.roll(windows.key(before .. host, name), length) end
  end
  return sums
end

-- A window that is new to the store starts from the shortest longer window there. It may count too much at first, for
-- as long as it lasts, but never too little.

function windows.next_longer(kept, length)
  local best
  for _, window in ipairs(WINDOWS) do
    if kept[window[1]] and (window[2] == 0 or window[2] > length) then
      if not best or best[2] == 0 or (window[2] ~= 0 and window[2] < best[2]) then best = window end
    end
  end
  return best
end

function windows.start_window(window, longer)
  local before = tag .. ":w:total:"
  for _, key in ipairs(call("KEYS", before .. "*")) do
    local stem = string.sub(key, #before + 1)
    local counted = windows.roll(windows.key(stem, longer[1]), longer[2])
    if windows.exceeds(counted, "0") then windows.add(windows.key(stem, window[1]), window[2], counted, now) end
  end
end

-- Returns true if this program counts in the windows of the store. A program that joins may add further ones.
function windows.same_windows(written)
  if written == WRITTEN_WINDOWS then return true end
  local kept = {}
  for name, length in string.gmatch(written, "(%S+)=(%d+)") do
    if windows.length_of(name) ~= tonumber(length) then return false end
    kept[name] = true
  end
  if op ~= "join" then return false end
  for _, window in ipairs(WINDOWS) do
    if not kept[window[1]] then windows.start_window(window, windows.next_longer(kept, window[2])) end
  end
  call("HSET", META, "windows", WRITTEN_WINDOWS)
  return true
end
