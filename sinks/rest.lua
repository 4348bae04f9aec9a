-- One request a record; the body is the record's JSON.
local S = {
  api = 1, name = "rest", title = "REST endpoint, one record a request",
  accepts = { "event", "usage", "alert" },
  framing = "one",
  batch = { records = 1, bytes = 2 * 1024 * 1024 },
}

S.settings = {
  { "url", type = "url", label = "URL", required = true },
  { "method", type = "choice", label = "Method", choices = { "POST", "PUT", "PATCH" }, default = "POST" },
  "headers", "auth", "signing", "timeout_s", "tls", -- the engine knows these and puts them in each request
}

local headers = { ["content-type"] = "application/json" }

function S.request(batch, settings)
  return { url = settings.url, method = settings.method, headers = headers }
end

-- A marked record: what takes records takes it, too.
function S.probe(settings)
  return { url = settings.url, method = settings.method, headers = headers, body = '{"sluice":"test"}' }
end

return S
