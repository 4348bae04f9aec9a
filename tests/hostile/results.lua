-- What hooks give back.
--- a circle: failed
local t = {} t.t = t return t
--- a circle of two: failed
local a, b = {}, {} a.b, b.a = b, a return a
--- a thousand deep: failed
local t = {} for i = 1, 1000 do t = { t } end return t
--- seventeen deep: failed
local t = { 1 } for i = 1, 17 do t = { a = t } end return t
--- a million nodes: failed, timeout, memory
local t = {} for i = 1, 1e5 do t[i] = i end return t
--- one table two thousand times: failed
local one, t = { 1, 2, 3 }, {} for i = 1, 2000 do t[i] = one end return t
--- doubled and doubled: failed
local t = { "x" } for i = 1, 15 do t = { t, t } end return t
--- a megabyte: failed
return { ("x"):rep(2 ^ 20) }
--- a megabyte of escapes: failed
return { ("\1"):rep(2 ^ 17) }
--- NaN: failed
return { 0 / 0 }
--- infinity: failed
return { 1 / 0, -1 / 0 }
--- minus nought: delivered
return { x = -0 }
--- the smallest number: delivered
return { 5e-324, 1.7976931348623157e308 }
--- a function: failed
return { f = function() end }
--- a key that is a table: failed
return { [{}] = 1 }
--- a key that is NaN: failed
local t = {} t[0 / 0] = 1 return t
--- keys of both kinds: failed
return { 1, 2, x = 3 }
--- a list with holes: failed
return { 1, nil, 3 }
--- a key of a half: failed
return { [1.5] = 1 }
--- a key below one: failed
return { [-1] = 1, [0] = 2 }
--- true as a key: failed
return { [true] = 1 }
--- texts that are no UTF-8: failed, delivered
return { "\255\254\237\160\128" }
--- keys that are no UTF-8: failed, delivered
return { ["\255"] = 1 }
--- zeros in a text: delivered
return { "a\0b" }
--- a metatable that pretends: delivered, failed
return setmetatable({}, { __index = { secret = "ESCAPED" }, __pairs = function() return pairs({ x = "ESCAPED" }) end })
--- a metatable that loops when read: delivered, failed
return setmetatable({ 1 }, { __index = function() while true do end end })
--- a metatable with a name: delivered, failed
return setmetatable({ 1 }, { __metatable = "array" })
--- true: failed
return true
--- a number: failed, delivered
return 5
--- a text: failed, delivered
return "x"
--- the record itself: delivered
return rec
--- the record in itself: delivered, failed
return { rec, rec, rec.endpoint, { rec } }
--- the record two thousand times: failed, delivered
local t = {} for i = 1, 1999 do t[i] = rec end return t
--- ctx: delivered, failed
return ctx
--- null: failed, delivered
return null
--- array of nothing: filtered, failed
return array {}
--- array of three thousand: failed
local t = {} for i = 1, 3000 do t[i] = { i } end return array(t)
--- array of arrays of arrays: delivered, failed
return array { array { array { 1 } } }
--- array of two, one of them wrong: failed
return array { { 1 }, { 0 / 0 } }
--- array with a hole: failed, delivered
return array { { 1 }, nil, { 3 } }
--- array with names: filtered
return array { a = 1 }
--- object of a list: failed, delivered
return object { 1, 2, 3 }
--- several values: delivered, failed
return { 1 }, { 2 }, { 3 }, 4, 5
--- seven thousand values: delivered, failed
local t = {} for i = 1, 7000 do t[i] = {} end return unpack(t)
--- a filter that gives a table: delivered
local M = { api = 1 }
function M.filter() return {} end
return M
--- a filter that gives the record: delivered
local M = { api = 1 }
function M.filter(rec) return rec end
return M
--- a reason that is a table: filtered
local M = { api = 1 }
function M.filter() return false, {} end
return M
--- a reason with controls: filtered
local M = { api = 1 }
function M.filter() return false, "\0\n\"} 1\nsluice_forged_total 5 \255" end
return M
--- a reason for each record: filtered
local M = { api = 1 }
function M.filter(rec) return false, "r" .. rec.id end
return M
--- no map and no filter: delivered
return { api = 1 }
