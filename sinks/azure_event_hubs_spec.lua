-- What an event hub is sent, and what its answers mean.
describe("azure_event_hubs", function()
  local event = { id = 2, kind = "event", event_type = { id = 1 }, organisation = { id = 7 }, endpoint = { id = 42 } }
  local function settings(more)
    local all = { namespace = "fleet", hub = "sims", policy = "send", key = "c2VjcmV0" }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  it("sends a batch of events", function()
    local request = sink("azure_event_hubs.lua", settings()):requests({ event, event })[1]
    assert.equal("https://fleet.servicebus.windows.net/sims/messages?api-version=2014-01", request.url)
    assert.equal("application/vnd.microsoft.servicebus.json", request.headers["content-type"])
    assert.equal(2, #request.json)
    assert.truthy(request.json[1].Body:find('"id":2', 1, true))
    assert.equal(nil, request.headers.brokerproperties)
  end)

  it("signs with a token for the hub", function()
    local authorization = sink("azure_event_hubs.lua", settings()):requests({ event })[1].headers.authorization
    assert.truthy(authorization:find(
      "^SharedAccessSignature sr=https%%3A%%2F%%2Ffleet%.servicebus%.windows%.net%%2Fsims&sig=[%w%%]+&se=%d+&skn=send$"))
  end)

  it("keeps to one partition when it is given a key", function()
    local request = sink("azure_event_hubs.lua", settings { partition_key = "all", endpoint = "http://127.0.0.1:1/" }):requests({ event })[1]
    assert.equal('{"PartitionKey":"all"}', request.headers.brokerproperties)
    assert.equal("http://127.0.0.1:1/sims/messages?api-version=2014-01", request.url)
  end)
end)
