-- Records as events of Splunk's HTTP Event Collector (services/collector/event).
local S = {
  api = 1, name = "splunk_hec", title = "Splunk HTTP Event Collector", accepts = { "event", "usage", "alert" },
  framing = "lines", batch = { records = 2000, bytes = 800000 }, -- Splunk's default takes 1 MB
}

S.settings = {
  { "url", type = "url", label = "URL of the collector", required = true, help = "https://HOST:8088" },
  { "token", type = "secret", label = "HEC token", required = true },
  { "index", type = "string", label = "Index", help = "of those that the token may write to" },
  { "source", type = "string", label = "Source", default = "sluice" },
  { "sourcetype", type = "string", label = "Source type", default = "_json" },
  { "gzip", type = "boolean", label = "Compress the body", default = true },
  "timeout_s", "tls",
}

function S.map(rec, ctx)
  local endpoint, settings = get(rec, "endpoint.id"), ctx.settings
  return {
    time = ctx.now / 1000, host = endpoint and "endpoint-" .. tostring(endpoint) or nil,
    index = settings.index, source = settings.source, sourcetype = settings.sourcetype,
    event = rec, fields = { kind = ctx.kind },
  }
end

function S.request(batch, settings)
  return { url = settings.url:gsub("/+$", "") .. "/services/collector/event", gzip = settings.gzip,
           headers = { authorization = "Splunk " .. settings.token, ["content-type"] = "application/json" } }
end

-- A marked event: the collector's health says nothing of a token.
function S.probe(settings, now)
  local request = S.request(nil, settings)
  request.body = json.encode { time = now / 1000, index = settings.index, source = settings.source,
                               sourcetype = settings.sourcetype, event = { sluice = "test" } }
  return request
end

-- Splunk answers with a code of its own beside HTTP's status.
local settings_wrong = { [1] = "the token is disabled", [2] = "the token is missing", [3] = "the token is malformed",
                         [4] = "the token is not known", [7] = "the index is not known or not allowed to this token" }

function S.verdict(response)
  local code = tonumber(response.body:match('"code"%s*:%s*(%d+)'))
  if settings_wrong[code] then return "pause", "Splunk: " .. settings_wrong[code] end
  if code == 8 or code == 9 then return "retry" end -- internal error, busy
end

return S
