-- Adds up what each endpoint used, hour by hour.
--
-- parameters: hours  the length of a period   1 (24: days in UTC)
--
-- A script can't know when an hour is over, for late records may still come. So each usage record is sent on as the
-- total of its endpoint and hour *so far*: the receiver keeps one row for endpoint and hour, and overwrites it. Usage
-- counts in the hour in which it ended.
--
-- ctx.sum would give the total up to the record's own time, without what ended later and came before. ctx.get and ctx.set
-- add up in the order in which records come. 100,000 hours of endpoints are kept, each for a day after its last record;
-- a record that comes later than that begins its hour at 0 again.
local M = { api = 1 }

M.match = { kind = { "usage" } }

local function add(ctx, key, value)
  local total = (ctx.get(key) or 0) + value
  ctx.set(key, total, "1d")
  return total
end

function M.map(rec, ctx)
  local period_ms = (ctx.parameters.hours or 1) * 3600000
  local from = time.iso(ctx.now - ctx.now % period_ms)
  local bytes = math.floor(get(rec, "volume.total", 0) * 1000000 + 0.5) -- whole numbers add up exactly
  local total = add(ctx, tostring(rec.endpoint.id) .. ":" .. from, bytes)
  return { endpoint = rec.endpoint.id, from = from, mb = total / 1000000 }
end

return M
