-- Claims: which open holds of a purchase each program presents. A sorted set for each purchase has "owner/created/id".
-- A hold that no program presents has no owner. A program that dies writes nothing, so no field can say that its holds
-- are free. But the owners are few: each is looked at once, by one seek, and holds of living ones are not read.

local claims = {}
local OPEN, CLAIMS = tag .. ":open", tag .. ":claims" -- CLAIMS: the hold of each claim, by "owner/token"

function claims.row_key(id)
  return tag .. ":h:" .. id
end

function claims.row_of(id)
  local flat = call("HGETALL", claims.row_key(id))
  if #flat == 0 then return nil end
  local row = {}
  for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end
  return row
end

function claims.key(purchase)
  return tag .. ":p:" .. purchase
end

function claims.member(row)
  return row.owner .. "/" .. string.format("%017.0f", tonumber(row.created)) .. "/" .. row.id
end

function claims.id_of(member)
  return string.match(member, "[^/]*$")
end

function claims.place(row)
  call("ZADD", claims.key(row.purchase), 0, claims.member(row))
  if row.claim ~= "" then call("HSET", CLAIMS, row.owner .. "/" .. row.claim, row.id) end
end

function claims.take_out(row)
  call("ZREM", claims.key(row.purchase), claims.member(row))
  if row.claim ~= "" then call("HDEL", CLAIMS, row.owner .. "/" .. row.claim) end
end

-- Gives a hold to another owner; "" is none.
function claims.give(row, owner, claim)
  claims.take_out(row)
  row.owner, row.claim = owner, claim
  claims.place(row)
  call("HSET", claims.row_key(row.id), "owner", owner, "claim", claim)
end

-- Returns the hold that this owner claimed with this token.
function claims.of_token(token)
  local id = call("HGET", CLAIMS, asked.owner .. "/" .. token)
  local row = id and claims.row_of(id)
  return row and row.claim == token and row.owner == asked.owner and row or nil
end

-- Returns each owner of open holds of a purchase once. "" comes first.
function claims.owners(purchase)
  local key, from, found = claims.key(purchase), "-", {}
  while true do
    local member = call("ZRANGEBYLEX", key, from, "+", "LIMIT", 0, 1)[1]
    if not member then return found end
    found[#found + 1] = string.match(member, "^[^/]*")
    from = "[" .. found[#found] .. "0" -- "0" comes right after "/"
  end
end

-- Returns the oldest hold of an owner that is wanted.
function claims.oldest(purchase, owner, is_wanted)
  local from, last = "[" .. owner .. "/", "(" .. owner .. "0"
  while true do
    local member = call("ZRANGEBYLEX", claims.key(purchase), from, last, "LIMIT", 0, 1)[1]
    if not member then return nil end
    local row = claims.row_of(claims.id_of(member))
    if row and is_wanted(row) then return row end
    from = "(" .. member
  end
end

-- Layouts before this one had a list of ids for each purchase.
function claims.place_all()
  local rows = {}
  for _, id in ipairs(call("ZRANGE", OPEN, 0, -1)) do
    local row = claims.row_of(id)
    if row then
      call("DEL", claims.key(row.purchase))
      rows[#rows + 1] = row
    end
  end
  for _, row in ipairs(rows) do claims.place(row) end
end
