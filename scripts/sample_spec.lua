-- That the share is right, stable, and chosen by the field that is asked for.
describe("sample", function()
  local function kept(parameters, from, to, field)
    local script, count = stream("sample.lua", { parameters = parameters }), 0
    for id = from, to do
      local record = { id = id, organisation = { id = 1 }, endpoint = { id = 7 }, volume = { total = 1 } }
      if field then record.id, record[field].id = 1, id end
      if script:run(record).kept then count = count + 1 end
    end
    return count
  end

  it("keeps a tenth, more or less", function()
    local count = kept(nil, 174000001, 174002000)
    assert.truthy(count > 160 and count < 240, count .. " of 2,000")
  end)

  it("keeps all or nothing where that is asked for", function()
    assert.equal(100, kept({ percent = 100 }, 1, 100))
    assert.equal(0, kept({ percent = 0 }, 1, 100))
  end)

  it("chooses the same ones every time, and a larger share has the smaller one in it", function()
    local small, same = stream("sample.lua"), stream("sample.lua")
    local large = stream("sample.lua", { parameters = { percent = 30 } })
    for id = 1, 200 do
      local record = { id = id, organisation = { id = 1 }, volume = { total = 1 } }
      assert.equal(small:run(record).kept, same:run(record).kept)
      assert.truthy(large:run(record).kept or not small:run(record).kept)
    end
  end)

  it("chooses endpoints", function()
    local count = kept({ by = "endpoint.id", percent = 50 }, 1, 400, "endpoint")
    assert.truthy(count > 150 and count < 250, count .. " of 400")
    local script = stream("sample.lua", { parameters = { by = "endpoint.id" } })
    assert.equal("nothing to choose by", script:run('{"id":1,"organisation":{"id":1},"event_type":{"id":6}}').reason)
  end)
end)
