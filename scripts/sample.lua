-- Keeps a fair share of the records: always the same ones, however often they come and wherever this runs.
--
-- parameters: percent  the share                         10
--             by       the field that decides, a path    "id"
--
-- A random number would choose anew when a record is sent again or replayed. The hash of the id does not. By
-- "endpoint.id" all records of some endpoints are kept and none of the others, which leaves each one's story whole.
local M = { api = 1 }

local function share_of(id) -- from 0 to 1, spread evenly
  return tonumber(hash(id, "sample"):sub(1, 8), 16) / 2 ^ 32
end

function M.filter(rec, ctx)
  local id = get(rec, ctx.parameters.by or "id")
  if not id then return false, "nothing to choose by" end
  return share_of(id) < (ctx.parameters.percent or 10) / 100, "not in the sample"
end

return M
