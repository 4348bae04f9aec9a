-- Names, lists, and what is left out.
describe("flat", function()
  local record = '{"id":1,"organisation":{"id":2,"name":"Fleet"},"event_type":{"id":1},"a":{"b":{"c":null,"d":0.10}},' ..
    '"list":[{"id":2},null],"holes":[null,1],"empty":{},"none":[],"on":false}'

  it("makes one level", function()
    assert.same({ { id = 1, ["organisation.id"] = 2, ["organisation.name"] = "Fleet", ["event_type.id"] = 1, ["a.b.d"] = 0.1,
                    list = '[{"id":2},null]', holes = "[null,1]", on = false } }, stream("flat.lua"):run(record).records)
  end)

  it("takes another separator", function()
    local flat = stream("flat.lua", { parameters = { separator = "_" } }):run(record).records[1]
    assert.equal("Fleet", flat.organisation_name)
    assert.is_nil(flat["organisation.name"])
  end)
end)
