-- What InfluxDB is sent, and what its answers mean.
describe("influxdb", function()
  local influx
  before_each(function()
    influx = sink("influxdb.lua", { url = "https://influx.example.com/", org = "my org", bucket = "iot/raw", token = "t" })
  end)

  it("writes usage as points", function()
    local request = influx:requests({ { id = 174000003, kind = "usage", organisation = { id = 7 }, endpoint = { id = 42 },
      end_timestamp = "2026-11-20 00:01:29", volume = { total = 0.066641, tx = 0.0143, rx = 0.052341 }, cost = 0.01,
      operator = { name = "SFR, Cegetel", country = { name = "France" } } } })[1]
    assert.equal("https://influx.example.com/api/v2/write?precision=ns&bucket=iot%2Fraw&org=my%20org", request.url)
    assert.equal("Token t", request.headers.authorization)
    assert.equal("usage,organisation=7,endpoint=42,operator=SFR\\,\\ Cegetel,country=France " ..
      "volume_total=0.066641,volume_tx=0.0143,volume_rx=0.052341,cost=0.01 1795132889000000003\n", request.body)
  end)

  it("writes events with their words quoted", function()
    local request = influx:requests({ { id = 5, kind = "event", event_type = { id = 1 }, organisation = { id = 7 }, timestamp = "2026-11-20T00:00:00.049+0000",
      event_type = { id = 1, description = "Update location" }, event_severity = { id = 0, description = "Info" },
      description = 'say "hi" \\ twice\nor more' } })[1]
    assert.equal('event,organisation=7,severity=Info type="Update location",description="say \\"hi\\" \\\\ twice or more" ' ..
      "1795132800049000005\n", request.body)
  end)

  it("makes a point of each of two records of one moment", function()
    local function point(id)
      return { id = id, kind = "usage", volume = { total = 1 }, organisation = { id = 7 }, endpoint = { id = 42 }, end_timestamp = "2026-11-20 00:01:29", cost = 1 }
    end
    local body = influx:requests({ point(1), point(2) })[1].body
    assert.truthy(body:find(" 1795132889000000001\n.* 1795132889000000002\n$"))
  end)

  it("halves at a point that the bucket refuses", function()
    influx:requests { { id = 1, kind = "usage", volume = { total = 1 }, organisation = { id = 7 }, cost = 1, end_timestamp = "2026-11-20 00:01:29" } }
    assert.equal("halve", (influx:verdict { status = 422, body = "{}" }))
    assert.equal("pause", (influx:verdict { status = 401, body = "{}" }))
    assert.equal("delivered", (influx:verdict { status = 204 }))
  end)
end)
