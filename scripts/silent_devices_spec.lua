-- Who is found silent, when, and that nobody else is lost from the queue.
describe("silent_devices", function()
  local script
  local function hears(endpoint, hour)
    local alert = script:run({
      id = 1, organisation = { id = 1 }, event_type = { id = 1 }, endpoint = { id = endpoint },
      timestamp = ("2026-11-%02dT%02d:00:00.000+0000"):format(20 + math.floor(hour / 24), hour % 24),
    }).alerts[1]
    return alert and alert.key
  end

  before_each(function() script = stream("silent_devices.lua") end)

  it("says nothing while all of them report", function()
    for hour = 0, 40, 10 do
      for endpoint = 1, 4 do assert.is_nil(hears(endpoint, hour)) end
    end
  end)

  it("finds who has been quiet, at a record of another", function()
    hears(1, 0)
    assert.is_nil(hears(2, 23))
    assert.equal("silent:1", hears(2, 24))
  end)

  it("says for how long", function()
    hears(1, 0)
    local record = '{"id":1,"organisation":{"id":1},"event_type":{"id":1},"endpoint":{"id":2},"timestamp":"2026-11-21T06:30:00"}'
    assert.equal("Endpoint 1 sent nothing for 30.5 h", script:run(record).alerts[1].title)
  end)

  it("tells of each once, one a record, and the quietest first", function()
    hears(3, 0)
    hears(1, 1)
    hears(2, 2)
    hears(3, 3)
    assert.equal("silent:1", hears(9, 48))
    assert.equal("silent:2", hears(9, 48))
    assert.equal("silent:3", hears(9, 48))
    assert.is_nil(hears(9, 48))
  end)

  it("watches a device again that is back", function()
    hears(1, 0)
    assert.equal("silent:1", hears(2, 30))
    assert.is_nil(hears(1, 31))
    assert.equal("silent:2", hears(1, 54))
    assert.equal("silent:1", hears(2, 78))
  end)

  it("is not told of itself when it comes back", function()
    hears(1, 0)
    assert.is_nil(hears(1, 100))
  end)

  it("does not go back in time for a late record", function()
    hears(1, 10)
    hears(1, 0)
    assert.is_nil(hears(2, 30))
    assert.equal("silent:1", hears(2, 34))
  end)

  it("watches no more than it may, and takes up another when one has left", function()
    script = stream("silent_devices.lua", { parameters = { most = 2, hours = 1 } })
    hears(1, 0)
    hears(2, 0)
    hears(3, 0)
    assert.equal("silent:1", hears(2, 1))
    assert.is_nil(hears(3, 1))
    assert.equal("silent:2", hears(3, 2))
    assert.is_nil(hears(3, 2))
  end)

  it("takes ids of 64 bits", function()
    local function at(id, time)
      return script:run(('{"id":1,"organisation":{"id":1},"event_type":{"id":1},"endpoint":{"id":%s},"timestamp":"%s"}')
        :format(id, time)).alerts[1]
    end
    at("9223372036854775807", "2026-11-20T00:00:00")
    at("1234567890123451", "2026-11-20T00:00:00")
    at("1234567890123452", "2026-11-20T20:00:00")
    assert.equal("silent:9223372036854775807", at("5", "2026-11-21T01:00:00").key)
    assert.equal("silent:1234567890123451", at("5", "2026-11-21T01:00:00").key)
    assert.is_nil(at("5", "2026-11-21T01:00:00"))
  end)

  it("looks at the queue at records without an endpoint, too", function()
    hears(1, 0)
    local login = '{"id":1,"organisation":{"id":1},"event_type":{"id":6},"timestamp":"2026-11-22T00:00:00"}'
    assert.equal("silent:1", script:run(login).alerts[1].key)
  end)
end)
