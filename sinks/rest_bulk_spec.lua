-- Many records go in one request; how many, and in which form, is the settings' matter.
describe("rest_bulk", function()
  local url = "https://example.com/in"
  local records = array {}
  for i = 1, 5 do records[i] = { id = i, organisation = { id = 7 }, volume = { total = i } } end

  it("sends one JSON array", function()
    local requests = sink("rest_bulk.lua", { url = url }):requests(records)
    assert.equal(1, #requests)
    assert.equal("application/json", requests[1].headers["content-type"])
    assert.same(records, requests[1].json)
  end)

  it("sends a record a line when it is asked to", function()
    local request = sink("rest_bulk.lua", { url = url, format = "ndjson" }):requests(records)[1]
    assert.equal("application/x-ndjson", request.headers["content-type"])
    local lines = 0
    for line in request.body:gmatch("[^\n]+") do
      lines = lines + 1
      assert.equal(json.encode(records[lines]), line)
    end
    assert.equal(5, lines)
  end)

  it("splits at max_records", function()
    local requests = sink("rest_bulk.lua", { url = url, max_records = 2 }):requests(records)
    assert.same({ 2, 2, 1 }, { requests[1].count, requests[2].count, requests[3].count })
  end)

  it("compresses when it is asked to", function()
    assert.equal(nil, sink("rest_bulk.lua", { url = url }):requests(records)[1].gzip)
    assert.is_true(sink("rest_bulk.lua", { url = url, gzip = true }):requests(records)[1].gzip)
  end)

  it("takes no more than 10,000 records a request", function()
    assert.error(function() sink("rest_bulk.lua", { url = url, max_records = 10001 }) end)
  end)
end)
