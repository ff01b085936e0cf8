-- Allowances: one hash, by account. Each is JSON: its terms, when it was opened and ends, its state, and the currencies
-- that it was paid in.

local allowances = {}
local ALLOWANCES = tag .. ":allowances"

function allowances.find(account)
  local kept = call("HGET", ALLOWANCES, account)
  return kept and cjson.decode(kept) or nil
end

function allowances.keep(account, kept)
  call("HSET", ALLOWANCES, account, cjson.encode(kept))
end

-- Its end was fixed by the server's clock, and is judged by it.
function allowances.state_of(kept)
  if kept.state ~= "closed" and kept["until"] ~= "" and now >= tonumber(kept["until"]) then return "ended" end
  return kept.state
end

-- The rule: "a closed or frozen parent closes or freezes its children in the same step for all processes".
function allowances.refused(path)
  for _, account in ipairs(path) do
    local kept = allowances.find(account)
    local state = kept and allowances.state_of(kept) or ""
    if state ~= "open" then return { "allowance", seq, account, state, kept and kept["until"] or "" } end
  end
end

-- What each allowance of a path counts, after a payment was counted.
function allowances.used(path, currency)
  local sums = {}
  for i, account in ipairs(path) do
    local kept = allowances.find(account)
    if not kept.paid[currency] then
      kept.paid[currency] = "1"
      allowances.keep(account, kept)
    end
    sums[i] = windows.roll(windows.key(currency .. ":" .. account, "total"), 0)
  end
  return sums
end

function allowances.shown(account, kept)
  local sums = {}
  for currency in pairs(kept.paid) do
    sums[#sums + 1] = currency
    sums[#sums + 1] = windows.roll(windows.key(currency .. ":" .. account, "total"), 0)
  end
  return { account, kept.doc, kept.opened, kept["until"], allowances.state_of(kept), sums }
end

function allowances.open()
  local kept = allowances.find(asked.account)
  if not kept then
    local over = asked.seconds ~= "" and text(now + tonumber(asked.seconds) * 1000000) or ""
    kept = { doc = asked.doc, opened = text(now), ["until"] = over, state = "open", paid = {} }
    allowances.keep(asked.account, kept)
  end
  return { "ok", seq, allowances.shown(asked.account, kept) }
end

function allowances.forget(account, kept)
  call("HDEL", ALLOWANCES, account)
  kept.paid["#"] = "1"
  for currency in pairs(kept.paid) do
    for _, window in ipairs(WINDOWS) do call("DEL", windows.key(currency .. ":" .. account, window[1])) end
  end
end

function allowances.mark()
  local kept = allowances.find(asked.account)
  if not kept then return { "ok", seq, "" } end
  if asked.drops == "1" then
    allowances.forget(asked.account, kept)
  elseif kept.state ~= "closed" then
    kept.state = asked.mark
    allowances.keep(asked.account, kept)
  end
  return { "ok", seq, "1" }
end

function allowances.list()
  local found, accounts = {}, asked.accounts
  if #accounts == 0 then accounts = call("HKEYS", ALLOWANCES) end
  for _, account in ipairs(accounts) do
    local kept = allowances.find(account)
    if kept then found[#found + 1] = allowances.shown(account, kept) end
  end
  return { "ok", seq, found }
end
