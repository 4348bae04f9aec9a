-- Records as messages of a Google Cloud Pub/Sub topic (projects.topics.publish), with an access token that is given.
local S = {
  api = 1, name = "google_pubsub", title = "Google Cloud Pub/Sub", accepts = { "event", "usage", "alert" },
  framing = "custom", batch = { records = 1000, bytes = 6 * 1024 * 1024 }, -- the API takes 1,000 messages and 10 MB, in base64
}

S.settings = {
  { "project", type = "string", label = "Project", required = true },
  { "topic", type = "string", label = "Topic", required = true },
  { "access_token", type = "secret", label = "OAuth access token", required = true,
    help = "with the scope pubsub; it holds for an hour as a rule: whoever renews it sets it by PATCH" },
  { "ordering", type = "boolean", label = "In order per endpoint", default = true,
    help = "the endpoint's id is the ordering key; the subscription must have message ordering switched on" },
  { "endpoint", type = "url", label = "Endpoint", default = "https://pubsub.googleapis.com",
    help = "a regional one keeps order also between publishers, https://REGION-pubsub.googleapis.com" },
  "timeout_s", "tls",
}

function S.map(rec, ctx)
  local endpoint = get(rec, "endpoint.id")
  return rec, endpoint and tostring(endpoint) or nil
end

local function publish(messages, settings)
  return { url = ("%s/v1/projects/%s/topics/%s:publish"):format(settings.endpoint:gsub("/+$", ""), settings.project, settings.topic),
           headers = { authorization = "Bearer " .. settings.access_token, ["content-type"] = "application/json" },
           body = json.encode { messages = messages } }
end

function S.request(batch, settings)
  local messages = array {}
  for i, record in ipairs(batch.records) do
    messages[i] = { data = base64(record.body), orderingKey = settings.ordering and record.key or nil }
  end
  return publish(messages, settings)
end

function S.probe(settings)
  return publish(array { { data = base64('{"sluice":"test"}') } }, settings) -- a marked message
end

function S.verdict(response)
  if response.status == 401 then return "pause", "the access token is not valid, or no longer: set a new one" end
end

return S
