-- Sources that try the compiler itself. Deep ones and long ones are made by made.mjs.
--- reads past its end in Debian's LuaJIT: refused
local _
for _ in (nil):foo() do end
--- the same, inside a function: refused, failed, killed
local M = { api = 1 }
function M.map()
  local _
  for _ in (nil):foo() do end
end
return M
--- the same, with a number: refused, failed, killed
local _
for _ in (1):foo() do end
return { api = 1 }
--- the same, with a text: refused, failed, killed
local _
for _ in (""):foo() do end
return { api = 1 }
--- the same, with true: refused, failed, killed
local _
for _ in (true):foo() do end
return { api = 1 }
--- a method of nil: refused, failed
return (nil):foo()
--- a method of nil in an expression: refused, failed
local x = 1 + (nil):foo() .. ""
return { api = 1 }
--- constant folding of NaN: delivered, failed, refused
local M = { api = 1 }
function M.map() return { tostring(0 / 0 * -1 ^ 0.5 % 0) } end
return M
--- constant folding of -nil: refused, failed
local x = -nil
return { api = 1 }
--- constants compared: delivered, failed, refused
local M = { api = 1 }
function M.map() return { nil == false, 1 == "1", not nil == true, "a" < "b" } end
return M
--- a number that never ends: refused
return { api = 1, x = 0x }
--- a number of many digits: refused, delivered
local x = 0x1111111111111111111111111111111111111111111111111111111111111111111111111111111111111
local M = { api = 1 }
function M.map(rec) return { id = rec.id } end
return M
--- numbers of LuaJIT's own: refused, delivered, failed
local M = { api = 1 }
function M.map(rec) return { x = 1ULL, y = 2i } end
return M
--- an escape that is none: refused
return { api = 1, x = "\xZZ" }
--- an escape out of range: refused
return { api = 1, x = "\999" }
--- an escape of unicode: refused, delivered
local x = "\u{110000}"
return { api = 1 }
--- a text that never ends: refused
return { api = 1, x = "
--- a long text that never ends: refused
return { api = 1, x = [==[ ]]
--- a comment that never ends: refused
--[[ return { api = 1 }
--- a shebang: refused, delivered
#!/bin/sh
return { api = 1 }
--- goto into a block: refused
goto inside
do ::inside:: end
return { api = 1 }
--- goto over a local: refused
goto over
local x = 1
::over::
local y = x
return { api = 1 }
--- goto without a label: refused
goto nowhere
--- break outside a loop: refused
break
return { api = 1 }
--- two labels of one name: refused
::a:: ::a::
return { api = 1 }
--- varargs outside: refused, failed
local M = { api = 1 }
function M.map() return { ... } end
return M
--- return in the middle: refused
return { api = 1 }
local x = 1
--- too many ends: refused
return { api = 1 } end end end
--- controls in the source: refused
local x = 
return { api = 1 }
--- a byte order mark: refused, delivered
﻿return { api = 1 }
--- names of other alphabets: refused, delivered
local naïve = 1
local M = { api = 1 }
function M.map(rec) return { naïve } end
return M
--- for with a hundred variables: refused, failed, delivered
local M = { api = 1 }
function M.map() for a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z in pairs({ 1 }) do return { a } end end
return M
--- assignment to a call: refused
f() = 1
return { api = 1 }
--- assignment that swaps itself: delivered, failed
local t = {} t, t.x, t[t] = 1, t, t return { done = true }
