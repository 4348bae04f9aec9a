-- What Splunk's collector is sent, and what its answers mean.
describe("splunk_hec", function()
  local usage = { id = 1, kind = "usage", volume = { total = 1 }, organisation = { id = 7 }, endpoint = { id = 42 }, end_timestamp = "2026-11-20 00:01:29" }
  local event = { id = 2, kind = "event", event_type = { id = 1 }, organisation = { id = 7 }, timestamp = "2026-11-20T00:00:00.049+0000" }
  local hec
  before_each(function() hec = sink("splunk_hec.lua", { url = "https://splunk.example.com:8088/", token = "t0ken", index = "iot" }) end)

  it("sends an event a line", function()
    local request = hec:requests({ usage, event })[1]
    assert.equal("https://splunk.example.com:8088/services/collector/event", request.url)
    assert.equal("Splunk t0ken", request.headers.authorization)
    assert.is_true(request.gzip)
    local lines = {}
    for line in request.body:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal(2, #lines)
    assert.truthy(lines[1]:find('"host":"endpoint-42"', 1, true))
    assert.truthy(lines[1]:find('"time":1795132889', 1, true))
    assert.truthy(lines[2]:find('"time":1795132800.049', 1, true))
    assert.truthy(lines[2]:find('"index":"iot"', 1, true))
  end)

  it("tells a wrong setting from a busy collector", function()
    hec:requests { event }
    local function verdict(status, code) return hec:verdict { status = status, body = '{"text":"...","code":' .. code .. "}" } end
    assert.same({ "pause", "Splunk: the token is not known" }, { verdict(403, 4) })
    assert.same({ "pause", "Splunk: the index is not known or not allowed to this token" }, { verdict(400, 7) })
    assert.equal("retry", (verdict(503, 9)))
    assert.equal("reject", (verdict(400, 6)))
    assert.equal("delivered", (verdict(200, 0)))
  end)
end)
