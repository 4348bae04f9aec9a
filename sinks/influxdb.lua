-- Records as points of InfluxDB 2 and 3 in line protocol (api/v2/write): usage with its volumes and cost, events with their type and text.
local S = {
  api = 1, name = "influxdb", title = "InfluxDB", accepts = { "event", "usage" },
  framing = "lines", batch = { records = 5000, bytes = 4 * 1024 * 1024 },
}

S.settings = {
  { "url", type = "url", label = "URL", required = true, help = "https://HOST:8086" },
  { "org", type = "string", label = "Organisation" },
  { "bucket", type = "string", label = "Bucket", required = true },
  { "token", type = "secret", label = "API token", required = true },
  { "gzip", type = "boolean", label = "Compress the body", default = true },
  "timeout_s", "tls",
}

local function tag(name, value)
  if value == nil or value == "" then return "" end
  return "," .. name .. "=" .. tostring(value):gsub("[,= ]", "\\%0"):gsub("[\r\n]", " "):gsub("\\$", "")
end

local function text(value)
  return '"' .. tostring(value or ""):gsub('[\\"]', "\\%0"):gsub("[\r\n]", " ") .. '"'
end

local fields = {
  usage = { { "volume_total", "volume.total" }, { "volume_tx", "volume.tx" }, { "volume_rx", "volume.rx" }, { "cost", "cost" } },
  event = { { "type", "event_type.description" }, { "description", "description" }, { "volume_total", "detail.volume.total" } },
}

local function field_set(rec, kind)
  local set = {}
  for _, field in ipairs(fields[kind]) do
    local value = get(rec, field[2])
    if value ~= nil then set[#set + 1] = field[1] .. "=" .. (type(value) == "number" and json.encode(value) or text(value)) end
  end
  if #set == 0 then error("the record has none of the fields that a point of kind " .. kind .. " is made of") end
  return table.concat(set, ",")
end

-- A point is its tags and its time, so that one that is sent again takes its own place. Below the millisecond stands the
-- record's id: two records of one moment are two points.
function S.map(rec, ctx)
  local line = ctx.kind .. tag("organisation", get(rec, "organisation.id")) .. tag("endpoint", get(rec, "endpoint.id"))
    .. tag("operator", get(rec, "operator.name") or get(rec, "detail.name")) .. tag("country", get(rec, "operator.country.name"))
    .. tag("severity", get(rec, "event_severity.description"))
  local below = (tonumber(rec.id) or 0) % 1000000
  return raw(("%s %s %d%06d"):format(line, field_set(rec, ctx.kind), ctx.now, below))
end

local function query(value)
  return (value:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

function S.request(batch, settings)
  local url = settings.url:gsub("/+$", "") .. "/api/v2/write?precision=ns&bucket=" .. query(settings.bucket)
  if settings.org then url = url .. "&org=" .. query(settings.org) end
  return { url = url, gzip = settings.gzip,
           headers = { authorization = "Token " .. settings.token, ["content-type"] = "text/plain; charset=utf-8" } }
end

-- A marked point.
function S.probe(settings, now)
  local request = S.request(nil, settings)
  request.body = ("sluice test=true %d000000"):format(now)
  return request
end

-- A point that a bucket's retention or schema refuses is found by halving; the others of its request go on.
function S.verdict(response)
  if response.status == 422 then return "halve" end
end

return S
