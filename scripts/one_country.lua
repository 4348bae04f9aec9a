-- Keeps what happened in one country, events and usage alike.
--
-- parameters: country  its name, as the records write it   "Germany"
--             unknown  whether to keep records that name no country, such as failed logins   false
--
-- To keep several countries, make the parameter an object, { "Germany": true, "France": true }, and ask
-- `wanted[country]`. Events have the ISO code as well, detail.country.iso_code; usage records have not.
local M = { api = 1 }

-- Where an event has `detail`, a usage record has `operator`.
local function country_of(rec)
  return get(rec, "detail.country.name") or get(rec, "operator.country.name")
end

function M.filter(rec, ctx)
  local country = country_of(rec)
  if not country then return ctx.parameters.unknown == true, "no country" end
  return country == (ctx.parameters.country or "Germany"), "another country"
end

return M
