// `sluice test` from outside: passing and failing specs, errors and crashes of scripts, golden cases, formats, exit codes.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { program } from '../support/engine.mjs';

let folder;
before(() => { folder = mkdtempSync(join(process.env.SLUICE_TEST_FOLDER ?? tmpdir(), 'sluice-specs-')); });
after(() => { rmSync(folder, { recursive: true }); });

function file(name, text) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

// In an empty environment: nothing but the program and the files is needed.
async function run(...args) {
  const child = spawn(program, ['test', ...args], { cwd: folder, env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', (text) => { out += text; });
  child.stderr.on('data', (text) => { err += text; });
  const [code] = await once(child, 'close');
  return { code, out, err };
}

const SCRIPT = `local M = { api = 1 }
function M.filter(rec) return rec.volume.total >= 1, "little" end
function M.map(rec, ctx)
  if rec.id == 3 then
    return rec.detail.volume
  end
  return { id = rec.id, mb = rec.volume.total * (ctx.parameters.factor or 1) }
end
return M
`;
const record = (id, total) => JSON.stringify({ id, organisation: { id: 1 }, volume: { total } });

// A reader of XML that takes well-formed documents alone: elements and attributes as a tree.
function parseXml(text) {
  const entities = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
  const plain = (raw) => {
    assert.ok(!raw.includes('<'), `'<' in ${raw}`);
    return raw.replace(/&([^;&]*);?/g, (all, name) => {
      assert.match(all, /^&(lt|gt|amp|quot|apos|#\d+);$/);
      return name.startsWith('#') ? String.fromCodePoint(Number(name.slice(1))) : entities[name];
    });
  };
  const root = { name: '', children: [], text: '' }, open = [root];
  let at = text.match(/^<\?xml version="1\.0" encoding="UTF-8"\?>\s*/)[0].length;
  while (at < text.length) {
    const end = text.indexOf('<', at), stop = end < 0 ? text.length : end;
    open.at(-1).text += plain(text.slice(at, stop));
    if (end < 0) break;
    const tag = text.slice(end).match(/^<(\/?)([a-z]+)((?:\s+[a-z]+="[^"<]*")*)\s*(\/?)>/);
    assert.ok(tag, `a tag at ${text.slice(end, end + 60)}`);
    at = end + tag[0].length;
    if (tag[1]) {
      assert.equal(open.pop().name, tag[2]);
      continue;
    }
    const element = { name: tag[2], attributes: {}, children: [], text: '' };
    for (const [, name, value] of tag[3].matchAll(/([a-z]+)="([^"]*)"/g)) {
      assert.ok(!(name in element.attributes), `attribute ${name} twice`);
      element.attributes[name] = plain(value);
    }
    open.at(-1).children.push(element);
    if (!tag[4]) open.push(element);
  }
  assert.equal(open.length, 1, 'every element is closed');
  assert.equal(root.children.length, 1);
  return root.children[0];
}

test('passing specs: names, summary, exit code 0', async () => {
  file('pass/usage.lua', SCRIPT);
  file('pass/usage_spec.lua', `describe("usage", function()
  local s
  before_each(function() s = stream("usage.lua", { parameters = { factor = 2 } }) end)
  it("maps", function() assert.same({ { id = 1, mb = 3 } }, s:run('${record(1, 1.5)}').records) end)
  it("drops", function() assert.equal("little", s:run { id = 2, organisation = { id = 1 }, volume = { total = 0 } }.reason) end)
end)`);
  const { code, out, err } = await run('pass');
  assert.equal(out, 'pass/usage_spec.lua\n  ok      usage maps\n  ok      usage drops\n\n2 passed, 0 failed\n');
  assert.equal(err, '');
  assert.equal(code, 0);
  assert.equal((await run('pass/usage.lua')).out, out);
  assert.equal((await run('pass/usage_spec.lua')).code, 0);
});

test('a failing case says what differs, path by path, and where', async () => {
  file('fail/usage.lua', SCRIPT.replace('rec.volume.total *', 'tostring(rec.volume.total) or'));
  file('fail/usage_spec.lua', `it("maps", function()
  local result = stream("usage.lua"):run('${record(1, 1.5)}')
  assert.same({ kept = true, records = { { id = 1, mb = 1.5, at = "x" } }, alerts = {} }, result)
end)`);
  const { code, out } = await run('fail');
  assert.equal(code, 1);
  assert.equal(out, `fail/usage_spec.lua
  FAILED  maps
          fail/usage_spec.lua:3: assert.same
          records[1].at: missing, expected "x"
          records[1].mb: expected 1.5, got "1.5" (a string)

0 passed, 1 failed
`);
});

test('an error of the script has its own file and line', async () => {
  file('broken/usage.lua', SCRIPT);
  file('broken/usage_spec.lua', `it("fails", function()
  local result = stream("usage.lua"):run('${record(3, 1)}')
  assert.equal(5, result.error.line)
  assert.equal(1, result.records[1].id)
end)`);
  file('broken/syntax.lua', 'local M = {\nreturn M');
  file('broken/syntax_spec.lua', 'it("loads", function() stream("syntax.lua") end)');
  const { code, out } = await run('broken');
  assert.equal(code, 1);
  assert.match(out, /broken\/usage_spec\.lua:4: attempt to index/);
  assert.match(out, /the script failed: broken\/usage\.lua:5: /);
  assert.match(out, /broken\/syntax\.lua:2: /);
});

test('a spec that hangs is stopped with its line, and the others run', async () => {
  file('hang/hang_spec.lua', 'it("hangs", function()\n  while true do end\nend)\nit("goes on", function() end)\n');
  file('hang/load_spec.lua', '\n\nwhile true do end\n');
  const { code, out } = await run('hang');
  assert.equal(code, 1);
  assert.match(out, /FAILED {2}hangs\n +hang\/hang_spec\.lua:2: took longer than 5000 ms\n {2}ok {6}goes on/);
  assert.match(out, /hang\/load_spec\.lua:3: took longer than 5000 ms/);
});

test("a crash of LuaJIT's parser ends one file alone", async () => {
  const crasher = 'local _\nfor _ in (nil):foo() do end\n';
  file('crash/a.lua', crasher);
  file('crash/a.input.ndjson', `${record(1, 1)}\n`);
  file('crash/a_spec.lua', 'it("loads", function()\n  stream("a.lua")\nend)');
  file('crash/b_spec.lua', crasher);
  file('crash/c_spec.lua', 'it("is well", function() end)');
  const { code, out } = await run('crash');
  assert.equal(code, 1);
  assert.match(out, /FAILED {2}a golden case\n +crashed \(signal 11\)/);
  assert.match(out, /FAILED {2}loads\n +crash\/a_spec\.lua:1: crashed \(signal 11\)\n +the last script loaded was crash\/a\.lua\n/);
  assert.match(out, /crash\/b_spec\.lua\n {2}FAILED {2}the file\n +crashed \(signal 11\)/);
  assert.match(out, /ok {6}is well\n\n1 passed, 3 failed/);
});

test('a spec has no more than a script: no files, no modules, no globals', async () => {
  file('box/box_spec.lua', `for _, name in ipairs { "io", "os", "require", "load", "loadstring", "dofile", "debug", "ffi", "jit", "package" } do
  it("lacks " .. name, function() assert.error(function() return getmetatable(_G)[name].x end) end)
end
it("can't get at what the words are made of", function()
  assert.equal("assert", getmetatable(assert))
  assert.error(function() setmetatable(assert, {}) end)
end)
it("can't make globals", function() x = 1 end)
it("can't eat memory", function() local t = {} for i = 1, 1e9 do t[i] = {} end end)
`);
  const { code, out } = await run('box');
  assert.equal(code, 1);
  assert.match(out, /global 'x' can't be assigned/);
  assert.match(out, /needs more memory than/);
  assert.match(out, /11 passed, 2 failed/);
});

test('golden cases: written by --update, compared by value', async () => {
  file('golden/usage.lua', SCRIPT);
  file('golden/usage.input.ndjson', [record(1, 1.5), record(2, 0), '', record(898822806670, 2)].join('\n'));
  const missing = await run('golden');
  assert.equal(missing.code, 1);
  assert.match(missing.out, /there is no golden\/usage\.output\.ndjson; --update writes it/);
  assert.equal((await run('golden', '--update')).code, 0);
  const written = readFileSync(join(folder, 'golden/usage.output.ndjson'), 'utf8');
  assert.equal(written, '{"id":1,"mb":1.5}\n{"id":898822806670,"mb":2}\n');
  assert.equal((await run('golden')).out, 'golden/usage.input.ndjson\n  ok      usage golden case\n\n1 passed, 0 failed\n');
  file('golden/usage.output.ndjson', '{ "mb": 15e-1, "id": 1 }\n{"id":898822806671,"mb":"2"}\n{"id":5}\n');
  const wrong = await run('golden');
  assert.equal(wrong.code, 1);
  assert.match(wrong.out, /line 2\.id: expected 898822806671, got 898822806670\n/);
  assert.match(wrong.out, /line 2\.mb: expected "2", got 2 \(a number\)\n/);
  assert.match(wrong.out, /line 2 was made of input line 4\n/);
  assert.match(wrong.out, /line 3: missing, expected \{"id":5\}\n/);
  file('golden/usage.input.ndjson', `${record(3, 1)}\n`);
  const failed = await run('golden', '--update');
  assert.equal(failed.code, 1);
  assert.match(failed.out, /golden\/usage\.lua:5: .*\(input line 1\)/);
  assert.match(readFileSync(join(folder, 'golden/usage.output.ndjson'), 'utf8'), /15e-1/, 'nothing is written when the script fails');
});

test('--only runs the cases with that text in their names', async () => {
  file('only/a_spec.lua', 'describe("a.b", function() it("c", function() end) end) it("axb c", function() assert(false) end)');
  const { code, out } = await run('only', '--only', 'a.b c');
  assert.equal(code, 0);
  assert.match(out, /ok {6}a\.b c\n\n1 passed, 0 failed/);
  const none = await run('only', '--only', 'nothing like it');
  assert.equal(none.code, 2);
  assert.match(none.err, /no case has 'nothing like it' in its name/);
});

test('sinks: requests as they would be sent, and verdicts', async () => {
  file('requests/s.lua', `local S = { api = 1, name = "s", title = "S", accepts = { "alert", "usage" },
  settings = { { "url", type = "url", label = "URL", required = true } }, batch = { records = 2 }, framing = "array" }
function S.map(rec, ctx) return { text = rec.title or rec.id } end
function S.request(batch, settings) return { url = settings.url, headers = { ["X-Kind"] = batch.kind } } end
function S.verdict(response)
  if response.status == 200 then return { "delivered", { "reject", "why" } } end
  if response.status == 429 then return "retry", 7 end
  if response.status == 418 then return "reject", "id " .. response.headers["x-id"] end
end
return S`);
  file('requests/s_spec.lua', `local alert = { kind = "alert", title = "5 failed logins" }
local usage = { id = 4, organisation = { id = 1 }, volume = {} }
local event = { id = 5, organisation = { id = 1 }, event_type = { id = 1 } }
it("requests", function()
  local requests = sink("s", { url = "http://127.0.0.1/x" }):requests { alert, event, usage, usage }
  assert.equal(2, #requests)
  assert.same({ { text = "5 failed logins" }, { text = 4 } }, requests[1].json)
  assert.equal('[{"text":4}]', requests[2].body)
  assert.equal("usage", requests[2].headers["x-kind"])
  assert.equal("usage", requests[2].headers["X-Kind"])
  assert.equal("headers", getmetatable(requests[2].headers))
  assert.same({ "POST", "http://127.0.0.1/x", 1 }, { requests[2].method, requests[2].url, requests[2].count })
end)
it("verdicts", function()
  local s = sink("s", { url = "http://127.0.0.1/x" })
  s:requests { usage, usage }
  assert.same({ { "delivered" }, { "reject", "why" } }, s:verdict { status = 200 })
  assert.same({ "retry", 7 }, { s:verdict { status = 429 } })
  assert.same({ "reject", "id 5" }, { s:verdict { status = 418, headers = { ["x-id"] = "5" } } })
  assert.same({ "pause", "HTTP status 404" }, { s:verdict { status = 404 } })
  assert.same({ "retry" }, { s:verdict { error = "timed out" } })
end)
it("wrong settings", function() sink("s", { ulr = "http://127.0.0.1/x" }) end)
`);
  const { out } = await run('requests', '--coverage');
  assert.match(out, /ok {6}requests\n {2}ok {6}verdicts\n/);
  assert.match(out, /did you mean "url"/);
  assert.match(out, /2 passed, 1 failed\n100\.0 % {2}requests\/s\.lua\n/);
});

test('fixtures keep integers of 64 bits', async () => {
  file('fix/s.lua', 'return { api = 1 }');
  file('fix/one.json', record(1, 1).replace('"id":1,', '"id":9007199254740993,'));
  file('fix/fixtures/many.ndjson', `${record(1, 1)}\n${record(2, 1)}\n`);
  file('fix/s_spec.lua', `it("reads", function()
  local one, many = fixture("one"), fixture("many")
  assert.equal("9007199254740993", tostring(stream("s.lua"):run(one).records[1].id))
  assert.same(one, stream("s.lua"):run(one).records[1])
  assert.equal(2, #many)
end)
it("has a name", function() fixture("none") end)`);
  const { out } = await run('fix');
  assert.match(out, /ok {6}reads\n/);
  assert.match(out, /fix\/s_spec\.lua:7: there is no fixture none/);
});

test('TAP 13', async () => {
  const { code, out } = await run('fail', 'pass', '--format', 'tap');
  assert.equal(code, 1);
  const lines = out.trimEnd().split('\n');
  assert.equal(lines[0], 'TAP version 13');
  assert.equal(lines.at(-1), '1..3');
  assert.deepEqual(lines.filter((line) => /^(not )?ok /.test(line)),
    ['not ok 1 - fail/usage_spec.lua: maps', 'ok 2 - pass/usage_spec.lua: usage maps', 'ok 3 - pass/usage_spec.lua: usage drops']);
  assert.equal(lines[2], '  ---');
  assert.ok(lines.includes('    records[1].mb: expected 1.5, got "1.5" (a string)'));
});

test('JUnit', async () => {
  file('junit/a_spec.lua', 'it("<&> \\"\'\\1", function() assert.equal("<a>&\\"", "]]>") end) it("ok", function() end)');
  const { code, out } = await run('junit', '--format', 'junit');
  assert.equal(code, 1);
  const root = parseXml(out);
  assert.equal(root.name, 'testsuites');
  assert.deepEqual([root.attributes.tests, root.attributes.failures], ['2', '1']);
  const [suite] = root.children;
  assert.equal(suite.attributes.name, 'junit/a_spec.lua');
  assert.deepEqual(suite.children.map((c) => c.attributes.name), ['<&> "\' ', 'ok']);
  const [failure] = suite.children[0].children;
  assert.equal(failure.name, 'failure');
  assert.equal(failure.attributes.message, 'assert.equal: expected "<a>&\\"", got "]]>"');
  assert.match(failure.text, /^junit\/a_spec\.lua:1: assert\.equal\n/);
  assert.equal(suite.children[1].children.length, 0);
});

test('--coverage names the lines that never ran', async () => {
  const { out } = await run('pass', '--coverage');
  assert.match(out, /^ *\d+\.\d % {2}pass\/usage\.lua, never run: line 5$/m);
  assert.match((await run('pass', '--coverage', '--format', 'tap')).out, /^# coverage .* pass\/usage\.lua/m);
  const junit = await run('pass', '--coverage', '--format', 'junit');
  parseXml(junit.out);
  assert.match(junit.err, /pass\/usage\.lua/);
});

test('exit code 2: wrong usage, nothing found, unreadable', async () => {
  mkdirSync(join(folder, 'empty'), { recursive: true });
  file('other.txt', '');
  for (const args of [['--nonsense'], ['--format', 'xml'], ['empty'], ['not-there'], ['other.txt'], ['pass', 'not-there'], []]) {
    const { code, err } = await run(...args);
    assert.equal(code, 2, args.join(' '));
    assert.notEqual(err, '', args.join(' '));
  }
  assert.equal((await run('-h')).code, 0);
  assert.ok(!existsSync(join(folder, 'pass/usage.output.ndjson')));
});

test("the snippets of the sinks' README do what is said there", async () => {
  const readme = readFileSync(new URL('../../sinks/README.md', import.meta.url), 'utf8');
  const sinks = [...readme.matchAll(/```lua\n(.*?)```/gs)].map((m) => m[1]);
  file('readme/chat.lua', sinks.at(0));
  file('readme/chat_spec.lua', sinks.at(-1));
  assert.equal((await run('readme/chat.lua')).code, 0);
});

test('without paths: the folders of the configuration', async () => {
  const home = join(folder, 'home');
  file('home/sluice.lua', 'return { scripts = "mine" }');
  file('home/mine/a_spec.lua', 'it("is found", function() end)');
  const child = spawn(program, ['test'], { cwd: home, env: {}, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (text) => { out += text; });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.match(out, /^mine\/a_spec\.lua\n {2}ok {6}is found\n/);
});
