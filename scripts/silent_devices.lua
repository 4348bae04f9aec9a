-- Alerts when an endpoint has sent nothing for some hours.
--
-- parameters: hours  how long an endpoint may be quiet   24
--             most   endpoints that are watched at most  30000 (three keys each, of 100,000 that a stream has)
--
-- A script runs when a record comes, and at no other time. So the endpoints stand in a queue, the one quiet longest in
-- front; each record takes its own endpoint to the end, then looks at the front one. One record finds one endpoint: of
-- ten that fell silent, the next ten records tell. A stream that gets no record at all raises nothing. The alert is
-- raised at another endpoint's record, so `key` and `title` say whose it is, not `endpoint`.
local M = { api = 1 }

-- The queue is a ring of keys, behind:ID and before:ID, that begins and ends at "".
local function link(ctx, a, b)
  ctx.set("behind:" .. a, b)
  ctx.set("before:" .. b, a)
end

local function join(ctx, id)
  if not ctx.get("seen:" .. id) then
    local watched = ctx.get("watched") or 0
    if watched >= (ctx.parameters.most or 30000) then return end
    ctx.set("watched", watched + 1)
  else
    link(ctx, ctx.get("before:" .. id), ctx.get("behind:" .. id))
  end
  link(ctx, ctx.get("before:") or "", id)
  link(ctx, id, "")
  ctx.set("seen:" .. id, math.max(ctx.get("seen:" .. id) or 0, ctx.now))
end

local function leave(ctx, id)
  link(ctx, ctx.get("before:" .. id), ctx.get("behind:" .. id))
  for _, name in ipairs { "before:", "behind:", "seen:" } do ctx.set(name .. id, nil) end
  ctx.set("watched", ctx.get("watched") - 1)
end

function M.alert(rec, ctx)
  if has(rec, "endpoint.id") then join(ctx, tostring(rec.endpoint.id)) end
  local first = ctx.get("behind:") or ""
  if first == "" then return nil end
  local quiet_h = (ctx.now - ctx.get("seen:" .. first)) / 3600000
  if quiet_h < (ctx.parameters.hours or 24) then return nil end
  leave(ctx, first)
  return { key = "silent:" .. first, title = ("Endpoint %s sent nothing for %.1f h"):format(first, quiet_h), for_s = 0 }
end

return M
