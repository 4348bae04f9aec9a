-- Leaves out events of the types that happen all the time, unless they are a warning. Usage records pass.
--
-- parameters: types          numbers of the event types to leave out   { 1, 2, 3, 4 }
--             least_severity events as severe as this pass in any case  1 (Warn; 0 is Info)
--
-- To keep some types rather than leave some out, `M.match = { kind = { "event" }, event_type = { 5, 11 } }`
-- says it in one line and faster: what does not match never reaches Lua. GET /api/v1/fields lists the types.
local M = { api = 1 }

local ROUTINE = { 1, 2, 3, 4 } -- locations updated, data connections opened and changed

local function contains(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

function M.filter(rec, ctx)
  if ctx.kind ~= "event" then return true end
  if get(rec, "event_severity.id", 0) >= (ctx.parameters.least_severity or 1) then return true end
  return not contains(ctx.parameters.types or ROUTINE, rec.event_type.id), "routine"
end

return M
