-- What Pub/Sub is sent, and what its answers mean.
describe("google_pubsub", function()
  local event = { id = 2, kind = "event", event_type = { id = 1 }, organisation = { id = 7 }, endpoint = { id = 42 } }
  local function settings(more)
    local all = { project = "fleet", topic = "sims", access_token = "ya29" }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  it("publishes records as messages, in order per endpoint", function()
    local request = sink("google_pubsub.lua", settings()):requests({ event, { id = 3, kind = "event", event_type = { id = 1 }, organisation = { id = 7 } } })[1]
    assert.equal("https://pubsub.googleapis.com/v1/projects/fleet/topics/sims:publish", request.url)
    assert.equal("Bearer ya29", request.headers.authorization)
    assert.equal(2, #request.json.messages)
    assert.equal("42", request.json.messages[1].orderingKey)
    assert.equal(nil, request.json.messages[2].orderingKey)
    assert.truthy(request.json.messages[1].data:find("^eyJ")) -- {"
  end)

  it("leaves the order out when it is not wanted", function()
    local request = sink("google_pubsub.lua", settings { ordering = false, endpoint = "https://europe-west1-pubsub.googleapis.com/" })
      :requests({ event })[1]
    assert.equal("https://europe-west1-pubsub.googleapis.com/v1/projects/fleet/topics/sims:publish", request.url)
    assert.equal(nil, request.json.messages[1].orderingKey)
  end)

  it("says that the token is to be renewed", function()
    local pubsub = sink("google_pubsub.lua", settings())
    pubsub:requests { event }
    assert.same({ "pause", "the access token is not valid, or no longer: set a new one" }, { pubsub:verdict { status = 401 } })
    assert.equal("retry", (pubsub:verdict { status = 429 }))
  end)
end)
