-- Alerts when a SIM turns up in another country than before.
--
-- parameters: remember  how long a SIM's last country is known          "90d"
--             silent_s  seconds without a further alert of that move   3600
--
-- What a stream must remember from one record to the next is kept by ctx.set and read by ctx.get, a key a SIM. The
-- key of the alert has the country in it, so that a SIM going back and forth at a border is told of once an hour,
-- and a third country at once. The events go on to the stream's sink as they are.
local M = { api = 1 }

M.match = { kind = { "event" }, event_type = { 1, 2 } } -- Update location, Update GPRS location

function M.alert(rec, ctx)
  local sim, country = get(rec, "sim.id"), get(rec, "detail.country.name")
  if not sim or not country then return nil end
  local key = "country:" .. tostring(sim)
  local before = ctx.get(key)
  ctx.set(key, country, ctx.parameters.remember or "90d")
  if not before or before == country then return nil end
  return {
    key = "roaming:" .. tostring(sim) .. ":" .. country,
    title = ("SIM %s moved from %s to %s"):format(get(rec, "sim.iccid", sim), before, country),
    severity = "warn",
    for_s = ctx.parameters.silent_s or 3600,
  }
end

return M
