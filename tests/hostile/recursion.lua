-- Calls inside each other without end, through Lua and through C.
--- a function: failed
local function f() return 1 + f() end f()
--- a function behind pcall: failed, delivered
local function f() return 1 + f() end return { (pcall(f)) }
--- pcall in pcall: failed
local function f() local ok, e = pcall(f) error(e, 0) end f()
--- pcall in pcall with a loop at the end: timeout, failed
local function f() pcall(f) while true do end end f()
--- sort in sort: failed
local function f() table.sort({ 1, 2 }, f) end f()
--- gsub in gsub: failed
local function f() return (("x"):gsub("x", f)) end f()
--- tostring in tostring: failed
local function f() return tostring(setmetatable({}, { __tostring = f })) end f()
--- __index in __index: failed, timeout, memory
local t = {} setmetatable(t, { __index = function(s, k) return s[k .. "x"] end }) return { t.a }
--- __newindex in __newindex: failed, timeout
local t = {} setmetatable(t, { __newindex = function(s, k, v) s[k] = v end }) t.a = 1
--- __concat in __concat: failed, timeout
local t = {} setmetatable(t, { __concat = function(a, b) return a .. b end }) return { t .. t }
--- __add in __add: failed, timeout
local t = {} setmetatable(t, { __add = function(a, b) return a + b end }) return { t + t }
--- __eq in __eq: failed, timeout
local m = {} m.__eq = function(a, b) return a == b end return { setmetatable({}, m) == setmetatable({}, m) }
--- __lt in __lt: failed, timeout
local m = {} m.__lt = function(a, b) return a < b end return { setmetatable({}, m) < setmetatable({}, m) }
--- __unm in __unm: failed, timeout
local t = {} setmetatable(t, { __unm = function(a) return -a end }) return { -t }
--- __call in __call: failed, timeout
local t = {} setmetatable(t, { __call = function(s) return 1 + s() end }) t()
--- an __index chain of a hundred thousand: failed, timeout, memory
local t = {} for i = 1, 1e5 do t = setmetatable({}, { __index = t }) end return { t.x }
--- sort, gsub and tostring in turn: failed
local a, b, c
a = function() table.sort({ 1, 2 }, b) end
b = function() return (("x"):gsub("x", c)) == "x" end
c = function() return tostring(setmetatable({}, { __tostring = a })) end
a()
--- unpack that calls __index: failed, delivered
return { unpack(setmetatable({}, { __index = function(t, i) return unpack(t, i) end }), 1, 3) }
--- concat with __index: failed, delivered
return { table.concat(setmetatable({}, { __index = function() return "x" end }), "", 1, 3) }
--- at load: refused
local function f() return 1 + f() end f()
return { api = 1 }
--- at load, through C: refused
local function f() table.sort({ 1, 2 }, f) end f()
return { api = 1 }
--- error in the handler of an error: failed
error(setmetatable({}, { __tostring = function(t) error(t) end }))
--- error of errors: failed
local e = {} for i = 1, 1000 do e = { e } end error(e)
--- error nil: failed
error(nil)
--- error of nothing: failed
error()
--- error of an empty text: failed
error("", 0)
--- error of the record: failed
error(rec)
--- error of ctx: failed
error(ctx)
--- error of null: failed
error(null)
--- error of a function: failed
error(error)
--- error of a boolean: failed
error(false)
--- error of a number: failed
error(2 ^ 60)
--- error with controls: failed
error("\0\1\2\27[31mred\r\nstream=st_x doing=forged \255\254")
--- an error that looks like another place: failed
error("script:999999999999: it was somebody else", 0)
--- assert with a table: failed
assert(false, { "x" })
--- assert of nothing: failed
assert()
