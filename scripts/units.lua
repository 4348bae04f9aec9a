-- Writes volumes in bytes, costs as text with their currency and times in one form: for systems that want them so.
--
-- parameters: bytes_per_mb  1000000 (1048576 where a MB is 1,024 x 1,024 bytes)
--
-- A hook can name what it needs once: here `volume` and `place` are found wherever the kind of record has them. A field
-- that a record lacks is nil, and nil is left out of the result.
local M = { api = 1 }

local function bytes(mb, factor)
  return mb and math.floor(mb * factor + 0.5)
end

local function money(cost, currency)
  return cost and ("%.4f %s"):format(cost, currency or "?")
end

function M.map(rec, ctx)
  local factor = ctx.parameters.bytes_per_mb or 1000000
  local volume = rec.volume or get(rec, "detail.volume", {})
  local place = rec.operator or rec.detail
  return {
    id = rec.id,
    kind = ctx.kind,
    at = time.iso(ctx.now), -- the three forms of the platform become 2026-11-20T00:01:29.000Z
    endpoint = get(rec, "endpoint.id"),
    operator = place and place.name,
    bytes = bytes(volume.total, factor),
    bytes_down = bytes(volume.rx, factor),
    bytes_up = bytes(volume.tx, factor),
    cost = money(rec.cost, get(rec, "currency.code")),
  }
end

return M
