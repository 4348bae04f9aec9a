-- Alerts when an endpoint used more data than it should in the last 24 hours.
--
-- parameters: limit_mb  what an endpoint may use, in MB          100
--             span      in how long: "30m", "24h", "7d"          "24h"
--             silent_s  seconds until the same endpoint is told of again   86400
--
-- ctx.sum(key, value, span) adds the value at the record's own time and gives the total of the span that ends there,
-- kept over restarts. The hours slide: there is no midnight at which an endpoint starts afresh.
local M = { api = 1 }

M.match = { kind = { "usage" } }

function M.alert(rec, ctx)
  local endpoint = get(rec, "endpoint.id")
  if not endpoint then return nil end
  local limit_mb, span = ctx.parameters.limit_mb or 100, ctx.parameters.span or "24h"
  local used_mb = ctx.sum("mb:" .. tostring(endpoint), get(rec, "volume.total", 0), span)
  if used_mb <= limit_mb then return nil end
  return {
    key = "volume:" .. tostring(endpoint),
    title = ("Endpoint %s used %.1f MB in %s, more than %s MB"):format(endpoint, used_mb, span, limit_mb),
    severity = "critical",
    for_s = ctx.parameters.silent_s or 86400,
  }
end

return M
