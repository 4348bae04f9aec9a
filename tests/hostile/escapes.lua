-- Ways out of the sandbox: names, environments, metatables, the functions that are there.
--- libraries by their names: delivered, failed, refused
for _, n in ipairs { "io", "os", "debug", "package", "jit", "ffi", "bit", "coroutine" } do
  local ok, v = pcall(function() return ({ io = io, os = os, debug = debug, package = package, jit = jit, ffi = ffi, bit = bit, coroutine = coroutine })[n] end)
  if ok and v then error("ESCAPED " .. n) end
end
return { done = true }
--- loaders by their names: delivered, failed, refused
local found = { load, loadstring, loadfile, dofile, require, module }
return { next(found) and "ESCAPED" }
--- the environment: delivered, failed, refused
return { (_G or _ENV or getfenv or setfenv) and "ESCAPED" }
--- raw access: delivered, failed, refused
return { (rawget or rawset or newproxy or xpcall or collectgarbage) and "ESCAPED" }
--- dump of a function: failed, refused
return { string.dump(function() end) }
--- dump by the method of a text: delivered
return { ("").dump and "ESCAPED" }
--- the metatable of texts: failed
getmetatable("").__index = { len = function() return "ESCAPED" end }
--- the metatable of texts, changed: failed
setmetatable("", { __index = function() return "ESCAPED" end })
--- the metatable of numbers: failed
setmetatable(0, { __index = {} })
--- the metatable of nil: failed
setmetatable(nil, { __index = {} })
--- the metatable of functions: failed
setmetatable(print or tostring, { __index = {} })
--- the metatable of the record: delivered, failed
return { getmetatable(rec) and "ESCAPED" }
--- the metatable of the record, changed: failed
setmetatable(rec, {})
--- the metatable of an inner record: failed
setmetatable(rec.endpoint, {})
--- the metatable of ctx: failed
setmetatable(ctx, {})
--- the metatable of the functions of ctx: failed, delivered
setmetatable(ctx.stream, { __index = function() return "x" end }) return { ctx.stream.nothing }
--- the metatable of array: failed
setmetatable(array {}, {})
--- the metatable of null: failed
setmetatable(null, {})
--- a metatable that is locked: failed
return { setmetatable(setmetatable({}, { __metatable = false }), {}) }
--- a metatable that is the record: failed, delivered
return setmetatable({}, rec)
--- a metatable that is itself: delivered, failed
local t = {} t.__index = t t.__newindex = t t.__call = t setmetatable(t, t) t.x = 1 return { t.x }
--- __call that is called for ever: failed, timeout
local t = {} setmetatable(t, { __call = t }) t()
--- __gc, which Lua 5.1 has not: delivered
setmetatable({}, { __gc = function() error("ESCAPED") end }) return { done = true }
--- a global assigned: failed
x = 1
--- a global function: refused, failed
function helper() end
local M = { api = 1 }
return M
--- a library assigned: failed
string = nil
--- a function of a library assigned: failed, delivered
string.len = function() return "x" end return { ("abc"):len() }
--- tostring assigned: failed
tostring = nil
--- error's level that climbs out: failed
error("x", 2 ^ 31)
--- error's level below: failed
error("x", -2 ^ 31)
--- pcall without a function: failed, delivered
return { pcall() }
--- pcall of a number: delivered
return { (pcall(5)) }
--- pcall of the record: delivered
return { (pcall(rec)) }
--- next with a key that is not there: failed
return { next({}, "nowhere") }
--- next of the record with a key that is not there: failed
return { next(rec, "nowhere") }
--- ipairs' step by hand: delivered, failed
local step = ipairs(rec) return { step(rec, -2 ^ 31), step(rec, 2 ^ 31), step({}, 2 ^ 53) }
--- pairs' step on another value: delivered, failed
local step = pairs(rec) return { (step({ a = 1 })), (step(rec)) }
--- select behind the end: failed, delivered
return { select(2 ^ 31, 1), select(-1, 1), select(0, 1) }
--- table functions on the record: failed, delivered
table.insert(rec, 1)
--- table functions on the record's lists: failed
table.sort(rec)
--- a field of the record written: failed
rec.id = 5
--- a field of an inner record written: failed
rec.endpoint.id = 5
--- the record called: failed
rec()
--- the record added to: failed
return { rec + 1 }
--- the record compared: failed
return { rec < rec }
--- null indexed: failed
return { null.x.y }
--- null called: failed
null()
--- ctx written: delivered, failed
ctx.stream = { id = "other" } ctx.parameters = nil ctx.kind = "event" ctx.now = 1 return { done = true }
--- ctx's functions called badly: failed
return { ctx.count(nil, nil) }
--- ctx's functions called with the world: failed
return { ctx.sum(rec, rec, rec) }
--- ctx.set of a table: failed
ctx.set("k", {}, "1h")
--- the address of a table: delivered
for _, v in ipairs { rec, null, {}, tostring, pairs, function() end } do if tostring(v):find("0x") then error("ESCAPED") end end
return { done = true }
--- an address by format: failed
return { string.format("%p", {}) }
--- an address by an error: failed
error(setmetatable({}, { __tostring = tostring }))
--- arguments of every kind for every function: delivered, timeout, failed
local functions = { assert, error, select, tonumber, type, unpack, rawequal, ipairs, pairs, next, tostring, setmetatable, getmetatable, pcall, log, get, has, compare, array, object }
for _, library in ipairs { string, table, math, time, json } do for _, f in pairs(library) do functions[#functions + 1] = f end end
local values = { nil, true, 0, -1, 2 ^ 31, 2 ^ 53, -2 ^ 63, 0 / 0, 1 / 0, "", "\0", "%", ("x"):rep(300), {}, { {} }, setmetatable({}, { __index = {} }), rec, rec.endpoint, null, array {}, object {}, ctx, print, function() end }
for _, f in ipairs(functions) do
  if type(f) == "function" then
    for a = 0, 24 do
      pcall(f, values[a])
      for b = 1, 24, 3 do pcall(f, values[a], values[b]) pcall(f, values[a], values[b], values[24 - b], values[a]) end
    end
  end
end
return { done = true }
--- functions by the names of texts: delivered, failed
local names = {} for k in pairs(string) do names[#names + 1] = k end
for _, n in ipairs(names) do pcall(("x")[n], rec, rec, rec) pcall(("x")[n], "x", {}, ctx) end
return { done = true }
--- time out of range: delivered, failed
return { time.iso(1e300), time.iso(-1e300), time.iso(0 / 0), time.parse(("9"):rep(1000)) }
--- time of tables: failed, delivered
return { time.iso({}), time.parse(rec) }
--- json of what is no JSON: failed
return { json.encode(function() end) }
--- json of NaN: failed
return { json.encode(0 / 0) }
--- compare of what can't be: failed, delivered
return { compare(rec, {}), compare("x", null) }
--- math out of range: delivered, failed
return { math.ldexp(1, -2 ^ 31), math.fmod(1, 1e-300), math.frexp(5e-324), math.random(1, 2 ^ 31 - 1) >= 1 }
--- random of an empty range: delivered, failed
return { math.random(1, 0) }
--- randomseed: failed, refused
math.randomseed(1)
--- log of everything: delivered, failed
log(rec, ctx, null, {}, tostring, ("x"):rep(1e5), "\0\1\2\255", "\n\n\n") log() return { done = true }
--- log that forges lines: delivered
log("x\" doing=pause reason=\"forged\nstream=st_x doing=forged") return { done = true }
