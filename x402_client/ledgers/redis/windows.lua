-- Every step of the ledger, each done whole or not at all. WINDOWS and BUCKETS are written above this by Python.
-- Lua counts in doubles: amounts stay text here, and only HINCRBY adds them up. Times are microseconds.

local op, asked = ARGV[1], cjson.decode(ARGV[2])
local call = redis.call
local tag = string.sub(KEYS[1], 1, -6) -- what is left without ":meta"
local META, OWNERS, PROOFS = KEYS[1], tag .. ":owners", tag .. ":proofs"
local OPEN, RESERVED, PAID, HISTORY = tag .. ":open", tag .. ":reserved", tag .. ":paid", tag .. ":history"
local FROZEN, PURSES = tag .. ":frozen", tag .. ":purses"
local REMEMBERED = 1000
local LONGEST_LEASE = 60000000 -- microseconds
local DELAY = 3600000 -- milliseconds that a command of a caller who gave up may come late
local clock, now, seq

local function text(number)
  return string.format("%.0f", number)
end

-- Whether a > b, for whole numbers as text; b may be negative, and then nothing fits under it.
local function exceeds(a, b)
  if string.sub(b, 1, 1) == "-" then return true end
  if string.sub(a, 1, 1) == "-" then return false end
  if #a ~= #b then return #a > #b end
  local high_a, high_b = tonumber(string.sub(a, 1, 10)), tonumber(string.sub(b, 1, 10))
  if high_a ~= high_b then return high_a > high_b end
  return tonumber("0" .. string.sub(a, 11)) > tonumber("0" .. string.sub(b, 11))
end

-- Windows: a hash of buckets by number, with their sum in "t" and the oldest number that may be there in "o".

local function window_key(stem, name)
  return tag .. ":w:" .. name .. ":" .. stem
end

local function units_of(stem, units)
  return string.sub(stem, 1, 2) == "#:" and "1" or units
end

local function take_away(key, field, units)
  if units ~= "0" then call("HINCRBY", key, field, "-" .. units) end
end

-- Forget what is older than the window; what is left.
local function roll(key, length)
  local kept = call("HMGET", key, "t", "o")
  if not kept[1] then return "0" end
  if length == 0 then return kept[1] end
  local width = length / BUCKETS
  local first, oldest = math.floor((now - length) / width), tonumber(kept[2])
  if oldest >= first then return kept[1] end
  for number = oldest, math.min(first - 1, oldest + BUCKETS + 1) do
    local units = call("HGET", key, text(number))
    if units then
      take_away(key, "t", units)
      call("HDEL", key, text(number))
    end
  end
  call("HSET", key, "o", text(first))
  return call("HGET", key, "t")
end

local function add(key, length, units)
  roll(key, length)
  call("HINCRBY", key, "t", units)
  if length == 0 then return end
  local width = length / BUCKETS
  local number = text(math.floor(now / width))
  call("HINCRBY", key, number, units)
  call("HSETNX", key, "o", number)
  call("PEXPIRE", key, text((length + 2 * width) / 1000))
end

-- What was given back after its bucket rolled away is not counted any more.
local function subtract(key, length, units, at)
  local number = length == 0 and "t" or text(math.floor(at / (length / BUCKETS)))
  if call("HEXISTS", key, number) == 0 then return end
  take_away(key, number, units)
  if length ~= 0 then take_away(key, "t", units) end
end

local function each_window(stems, change)
  for _, stem in ipairs(cjson.decode(stems)) do
    for _, window in ipairs(WINDOWS) do change(window_key(stem, window[1]), window[2], stem) end
  end
end
