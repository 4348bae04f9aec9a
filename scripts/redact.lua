-- Takes out what tells who it was: numbers of SIMs and devices, users' names, addresses, and the free text of events.
--
-- parameters: key  a long text that only you know. With it each of these values becomes a pseudonym, the same one every
--                  time, so that the records of one SIM still belong together; without it they are left out.
--
-- Telephone numbers and IMSIs are short: whoever has the key finds them by trying all, and whoever may read the stream's
-- definition has the key. Numbers of the platform (endpoint.id, sim.id, user.id) and cells (lac, ci) stay: add to PERSONAL
-- what must not. A value that is not what it should be, an object for an IMEI, is an error, and the record is not sent.
local M = { api = 1 }

M.match = { kind = { "event", "usage" } } -- alerts are the words of other scripts

local PERSONAL = {
  imsi = { imsi = true }, -- an object in an event, a text in a usage record
  endpoint = { name = true, ip_address = true, imei = true, tags = true },
  sim = { iccid = true, msisdn = true },
  user = { username = true, name = true },
  detail = { pdp_context = { imsi = true, imeisv = true, ue_ip_address = true, breakout_ip = true } },
  description = false, -- has SIMs and users in its words: left out in any case
}

-- The pseudonym of a text, or the copy of a table with those of what is personal in it. The rest is not touched.
local function hide(value, personal, key)
  if type(value) ~= "table" then return key and personal and hash(value, key) or nil end
  local copy = {}
  for name, inner in pairs(value) do
    local hidden = personal[name]
    if hidden == nil then copy[name] = inner else copy[name] = hide(inner, hidden, key) end
  end
  return copy
end

function M.map(rec, ctx)
  return hide(rec, PERSONAL, ctx.parameters.key)
end

return M
