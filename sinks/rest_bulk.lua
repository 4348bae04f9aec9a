-- Many records a request: a JSON array, or one record a line.
local S = {
  api = 1, name = "rest_bulk", title = "REST endpoint, many records a request",
  accepts = { "event", "usage", "alert" },
  batch = { records = 3000, bytes = 8 * 1024 * 1024 },
}

S.settings = {
  { "url", type = "url", label = "URL", required = true },
  { "method", type = "choice", label = "Method", choices = { "POST", "PUT", "PATCH" }, default = "POST" },
  { "format", type = "choice", label = "Format", choices = { "array", "ndjson" }, default = "array" },
  { "max_records", type = "integer", label = "Records a request, at most", min = 1, max = 10000, default = 3000 },
  { "gzip", type = "boolean", label = "Compress the body", default = false },
  "headers", "auth", "signing", "timeout_s", "tls", -- the engine knows these and puts them in each request
}

function S.framing(settings)
  return settings.format == "ndjson" and "lines" or "array"
end

local types = { array = "application/json", ndjson = "application/x-ndjson" }

function S.request(batch, settings)
  return { url = settings.url, method = settings.method, gzip = settings.gzip,
           headers = { ["content-type"] = types[settings.format] } }
end

-- A marked record.
function S.probe(settings)
  local request = S.request(nil, settings)
  request.body = settings.format == "ndjson" and '{"sluice":"test"}\n' or '[{"sluice":"test"}]'
  return request
end

return S
