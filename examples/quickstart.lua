-- What a fleet's owner wants to know: who used much data, which sessions ended, and every event that is more than information.
local M = { api = 1 }

local SESSION_ENDED = 5

function M.filter(rec, ctx)
  if ctx.kind == "usage" then
    return rec.volume.total >= (ctx.parameters.above_mb or 0.3), "little data"
  end
  return rec.event_severity.id >= 1 or rec.event_type.id == SESSION_ENDED, "information"
end

-- One flat shape for both kinds; what a record lacks is left out.
function M.map(rec, ctx)
  return {
    kind = ctx.kind,
    id = rec.id,
    at = rec.end_timestamp or rec.timestamp,
    what = get(rec, "event_type.description") or "Usage",
    customer = rec.organisation.name,
    endpoint = get(rec, "endpoint.id"),
    user = get(rec, "user.username"),
    mb = get(rec, "volume.total") or get(rec, "detail.volume.total"),
    cost = rec.cost,
  }
end

return M
