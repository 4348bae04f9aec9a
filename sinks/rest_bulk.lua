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
  { "headers", type = "headers", label = "More headers" },
  { "auth", type = "choice", label = "Authentication", choices = { "none", "basic", "bearer" }, default = "none" },
  { "username", type = "string", label = "User name", required = { auth = "basic" } },
  { "password", type = "secret", label = "Password" },
  { "token", type = "secret", label = "Bearer token", required = { auth = "bearer" } },
  { "signing_secret", type = "secret", label = "Signing secret",
    help = "Signs each request as Standard Webhooks says: whsec_ and base64, or any other text." },
  { "signing_secret_previous", type = "secret", label = "Previous signing secret",
    help = "Signed with as well while receivers change over." },
  { "timeout_s", type = "integer", label = "Seconds to wait for an answer", min = 1, max = 300, default = 30 },
  { "ca", type = "string", label = "File of certificate authorities", help = "The system's when empty." },
  { "client_certificate", type = "string", label = "File of the client certificate" },
  { "client_key", type = "string", label = "File of its key" },
}

function S.framing(settings)
  return settings.format == "ndjson" and "lines" or "array"
end

local function headers_of(settings)
  local headers = { ["content-type"] = settings.format == "ndjson" and "application/x-ndjson" or "application/json" }
  if settings.headers then
    for name, value in pairs(settings.headers) do headers[name:lower()] = value end
  end
  if settings.auth == "bearer" then headers.authorization = "Bearer " .. settings.token end
  return headers
end

local function make(settings)
  local basic = settings.auth == "basic"
  return {
    url = settings.url,
    method = settings.method,
    headers = headers_of(settings),
    gzip = settings.gzip,
    webhook = { secret = settings.signing_secret, previous = settings.signing_secret_previous },
    username = basic and settings.username or nil,
    password = basic and settings.password or nil,
    timeout_s = settings.timeout_s,
    ca = settings.ca,
    client_certificate = settings.client_certificate,
    client_key = settings.client_key,
  }
end

-- Nothing of it depends on the batch, so it is made once for each stream's settings.
local made = setmetatable({}, { __mode = "k" })

function S.request(batch, settings)
  local request = made[settings] or make(settings)
  made[settings] = request
  return request
end

return S
