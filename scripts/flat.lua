-- Makes one level of each record, for tables, search engines and key-value stores: { endpoint = { id = 7 } } becomes
-- { ["endpoint.id"] = 7 }.
--
-- parameters: separator  what stands between the names   "."
--
-- Lists become JSON text, for a column holds one value. Nulls and empty objects are left out.
local M = { api = 1 }

local function is_list(value)
  return #value > 0
end

local function flatten(value, name, separator, out)
  if type(value) ~= "table" then
    out[name] = value
  elseif is_list(value) then
    out[name] = json.encode(value)
  else
    for key, inner in pairs(value) do
      flatten(inner, name and name .. separator .. key or key, separator, out)
    end
  end
  return out
end

function M.map(rec, ctx)
  return flatten(rec, nil, ctx.parameters.separator or ".", {})
end

return M
