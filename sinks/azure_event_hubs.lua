-- Records as events of an Azure Event Hub, many a request, by a shared access policy
-- (https://learn.microsoft.com/rest/api/eventhub/send-batch-events).
local S = {
  api = 1, name = "azure_event_hubs", title = "Azure Event Hubs", accepts = { "event", "usage", "alert" },
  framing = "custom", batch = { records = 1000, bytes = 700000 }, -- Event Hubs takes 1 MB a request
}

S.settings = {
  { "namespace", type = "string", label = "Namespace", required = true, help = "NAME or NAME.servicebus.windows.net" },
  { "hub", type = "string", label = "Event Hub", required = true },
  { "policy", type = "string", label = "Shared access policy", required = true, help = "its name; it needs the claim Send" },
  { "key", type = "secret", label = "The policy's key", required = true },
  { "partition_key", type = "string", label = "Partition key", max = 128,
    help = "with one, all events go to one partition and stay in order; without, Event Hubs spreads requests over all partitions" },
  { "endpoint", type = "url", label = "Endpoint", help = "in place of https://NAMESPACE" },
  "timeout_s", "tls",
}

local function escaped(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function host(settings)
  local name = settings.namespace
  return name:find(".", 1, true) and name or name .. ".servicebus.windows.net"
end

-- A token for the hub alone, for an hour: https://learn.microsoft.com/rest/api/eventhub/generate-sas-token
local function token(settings, now)
  local resource = escaped(("https://%s/%s"):format(host(settings), settings.hub))
  local expiry = ("%d"):format(math.floor(now / 1000) + 3600)
  return ("SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s"):format(resource,
    escaped(hmac_sha256(settings.key, resource .. "\n" .. expiry, "base64")), expiry, escaped(settings.policy))
end

local function send(events, settings, now)
  local base = settings.endpoint and settings.endpoint:gsub("/+$", "") or "https://" .. host(settings)
  local headers = { authorization = token(settings, now), ["content-type"] = "application/vnd.microsoft.servicebus.json" }
  if settings.partition_key then headers.brokerproperties = json.encode { PartitionKey = settings.partition_key } end
  return { url = ("%s/%s/messages?api-version=2014-01"):format(base, escaped(settings.hub)), headers = headers,
           body = json.encode(events) }
end

function S.request(batch, settings)
  local events = array {}
  for i, record in ipairs(batch.records) do events[i] = { Body = record.body } end
  return send(events, settings, batch.now)
end

function S.probe(settings, now)
  return send(array { { Body = '{"sluice":"test"}' } }, settings, now) -- a marked event
end

return S
