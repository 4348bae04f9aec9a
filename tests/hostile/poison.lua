-- What one record, or one tenant, might leave behind for the next.
--- the functions of texts: failed, delivered
string.upper, string.lower, string.len, string.rep = nil, nil, nil, nil return { done = true }
--- the functions of tables: failed, delivered
for k in pairs(table) do table[k] = function() error("poisoned") end end return { done = true }
--- the functions of math: failed, delivered
for k in pairs(math) do math[k] = 0 end return { done = true }
--- time and json: failed, delivered
time.iso, json.encode = nil, nil return { done = true }
--- a metatable for the library of texts: failed, delivered
setmetatable(string, { __index = function() return "poisoned" end }) return { ("x"):poisoned() }
--- a metatable for math: failed, delivered
setmetatable(math, { __newindex = function() end, __index = function() return 1 end }) return { math.nothing }
--- a metatable for time: failed, delivered
setmetatable(time, { __call = function() return "x" end }) return { time() }
--- the stream's own facts: failed, delivered
ctx.stream.id, ctx.stream.organisation_id = "st_other", 1 return { ctx.stream.id }
--- the parameters: failed, delivered
for k in pairs(ctx.parameters) do ctx.parameters[k] = nil end ctx.parameters.x = ctx return { done = true }
--- ctx in ctx: failed, delivered
ctx.stream.ctx = ctx ctx.self = ctx return { done = true }
--- the script's own table: delivered
local M = { api = 1 }
function M.map(rec) M.map = nil M.filter = error M.api = 2 return { id = rec.id } end
return M
--- the hooks swapped: delivered, filtered
local M = { api = 1 }
function M.filter() M.filter, M.map = M.map, M.filter return true end
function M.map(rec) return { id = rec.id } end
return M
--- a record kept: failed, delivered
local M = { api = 1 }
local kept
function M.map(rec) if kept then return { id = kept.id } end kept = rec return { id = rec.id } end
return M
--- an inner record kept: failed, delivered
local M = { api = 1 }
local kept
function M.map(rec) if kept then return { id = kept.id } end kept = rec.endpoint return { id = rec.id } end
return M
--- a record kept as a result: failed, delivered
local M = { api = 1 }
local kept
function M.map(rec) kept = kept or { r = rec } return kept end
return M
--- a record kept as a key: failed, delivered
local M = { api = 1 }
local kept = {}
function M.map(rec) for k in pairs(kept) do return { id = k.id } end kept[rec] = true return { id = rec.id } end
return M
--- a step of pairs kept: failed, delivered
local M = { api = 1 }
local step, from
function M.map(rec) if step then return { (step(from)) } end step, from = pairs(rec) return { id = rec.id } end
return M
--- a record kept and put into ctx: failed, delivered
local M = { api = 1 }
function M.map(rec, ctx) local kept = ctx.parameters.kept ctx.parameters.kept = rec return { id = kept and kept.id or rec.id } end
return M
--- a record kept for pairs, unpack and #: failed, delivered
local M = { api = 1 }
local kept
function M.map(rec)
  if kept then
    for _, f in ipairs { pairs, ipairs, next, unpack, json.encode, array, tostring, function(r) return #r end, function(r) return get(r, "id") end, function(r) return has(r, "id") end } do
      local ok, v = pcall(f, kept)
      if ok and v and type(v) ~= "function" and type(v) ~= "string" then error("ESCAPED") end
    end
    return { id = kept.id }
  end
  kept = rec
  return { id = rec.id }
end
return M
--- ctx kept: delivered, failed
local M = { api = 1 }
local kept
function M.map(rec, ctx) kept = kept or ctx return { now = kept.now, id = kept.stream.id } end
return M
--- an exact number kept: delivered, failed
local M = { api = 1 }
local kept
function M.map(rec) kept = kept or rec.id return { id = kept } end
return M
--- log, kept and called at load: refused, delivered
log("at load", ("x"):rep(1e6))
local M = { api = 1 }
function M.map(rec) return { id = rec.id } end
return M
--- get and has at load: delivered
get(rec, "id")
return { api = 1 }
--- ctx at load: refused
return { api = 1, map = ctx.count("x", "1h") }
--- an error that stays: failed
local M = { api = 1 }
local broken = setmetatable({}, { __index = function() error("broken") end })
function M.map() return { broken.x } end
return M
