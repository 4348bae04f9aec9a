-- Records as CloudEvents 1.0, many a request: the batched mode of the HTTP binding (https://cloudevents.io).
local S = {
  api = 1, name = "cloudevents", title = "CloudEvents over HTTP", accepts = { "event", "usage", "alert" },
  framing = "array", batch = { records = 1000, bytes = 1024 * 1024 },
}

S.settings = {
  { "url", type = "url", label = "URL", required = true },
  { "source", type = "string", label = "Source", default = "/sluice", help = "a URI reference; says where events come from" },
  { "type_prefix", type = "string", label = "Prefix of the type", default = "iot.sluice", help = "then comes .event, .usage or .alert" },
  { "max_records", type = "integer", label = "Events a request, at most", min = 1, max = 10000, default = 1000 },
  { "gzip", type = "boolean", label = "Compress the body", default = false },
  "headers", "auth", "signing", "timeout_s", "tls",
}

function S.map(rec, ctx)
  local endpoint = get(rec, "endpoint.id")
  return {
    specversion = "1.0", source = ctx.settings.source, type = ctx.settings.type_prefix .. "." .. ctx.kind,
    -- Unique with its source: the numbers of events and of usage records are counted apart.
    id = ctx.kind .. "-" .. tostring(rec.id),
    time = time.iso(ctx.now), subject = endpoint and tostring(endpoint) or nil,
    datacontenttype = "application/json", data = rec,
  }
end

function S.request(batch, settings)
  return { url = settings.url, gzip = settings.gzip,
           headers = { ["content-type"] = "application/cloudevents-batch+json; charset=utf-8" } }
end

-- A marked event.
function S.probe(settings, now)
  local request = S.request(nil, settings)
  request.body = json.encode(array { { specversion = "1.0", source = settings.source, type = settings.type_prefix .. ".test",
                                       id = "test-" .. now, time = time.iso(now) } })
  return request
end

return S
