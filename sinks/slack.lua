-- Alerts as messages in a Slack channel, by an incoming webhook (https://api.slack.com/messaging/webhooks).
local S = {
  api = 1, name = "slack", title = "Slack", accepts = { "alert" }, framing = "one",
}

S.settings = {
  { "url", type = "url", secret = true, label = "Webhook URL", required = true,
    help = "https://hooks.slack.com/services/..., from the Slack app's page Incoming Webhooks" },
  { "mention", type = "string", label = "Mention at critical alerts", help = "<!here>, <!channel> or <@member id>" },
  "timeout_s",
}

local signs = { info = ":information_source:", warn = ":warning:", critical = ":rotating_light:" }

-- What Slack reads as markup in a text of ours.
local function plain(text)
  return (tostring(text):gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"))
end

function S.map(rec, ctx)
  local text = (signs[rec.severity] or ":bell:") .. " *" .. plain(rec.title or "Alert") .. "*"
  if rec.severity == "critical" and ctx.settings.mention then text = ctx.settings.mention .. " " .. text end
  local facts = {}
  local function fact(name, value)
    if value then facts[#facts + 1] = name .. " " .. plain(value) end
  end
  fact("organisation", get(rec, "organisation.name") or get(rec, "organisation.id"))
  fact("endpoint", get(rec, "endpoint.name") or get(rec, "endpoint.id"))
  fact("at", rec.timestamp)
  return { text = #facts > 0 and text .. "\n" .. table.concat(facts, ", ") or text }
end

function S.request(batch, settings)
  return { url = settings.url, headers = { ["content-type"] = "application/json" } }
end

function S.probe(settings)
  local request = S.request(nil, settings)
  request.body = '{"text":"Sluice can post here."}'
  return request
end

-- Slack says in a word what is wrong with the webhook; these do not get better by trying again.
local gone = { invalid_token = true, no_active_hooks = true, no_service = true, channel_is_archived = true,
               channel_not_found = true, action_prohibited = true, no_team = true }

function S.verdict(response)
  if gone[response.body] then return "pause", "Slack refuses the webhook: " .. response.body end
end

return S
