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

local function headers_of(settings)
  local headers = { ["content-type"] = "application/json" }
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
