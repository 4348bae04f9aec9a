// Shared scripts over the API, and scripts tried on records: what would be sent, with nothing sent and nothing kept.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { event, usage, many } from '../support/records.mjs';
import { run } from '../support/shell.mjs';

let engine, receiver;
before(async () => {
  engine = await Engine.start();
  receiver = await Receiver.start();
});
after(async () => { await engine.end(); receiver.end(); });

const api = (method, path, body) => engine.call(method, `/api/v1/scripts${path}`, body);
const tryOut = (body) => api('POST', '/try', body);
function problem(answer, status, words) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.type, /^application\/problem\+json/);
  assert.match(answer.json.detail, words);
}
async function items(body) {
  const answer = await tryOut(body);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.items;
}
const ECHO = 'return { api = 1 }';
const LARGE = `local M = { api = 1 }
function M.filter(rec) return rec.volume.total > 1, "little" end
function M.map(rec, ctx) log("seen", rec.id) return { id = rec.id, unit = ctx.parameters.unit } end
return M`;
const CRASHER = 'local _\nfor _ in (nil):foo() do end\n'; // of LuaJIT's parser

// ---- try ----

test('each record gets what the script makes of it: kept, dropped with its reason, failed with its line', async () => {
  const records = [usage({ volume: { total: 5 } }), usage({ volume: { total: 0.5 } }), usage({ volume: null })];
  const [kept, dropped, failed] = await items({ script: LARGE, parameters: { unit: 'MB' }, records });
  assert.equal(kept.kept, true);
  assert.deepEqual(kept.records, [{ id: records[0].id, unit: 'MB' }]);
  assert.deepEqual(kept.log, [`seen ${records[0].id}`]);
  assert.deepEqual([kept.reason, kept.error, kept.request, kept.alerts], [null, null, null, []]);
  assert.deepEqual([dropped.kept, dropped.reason, dropped.error], [false, 'little', null]);
  assert.equal(failed.kept, false);
  assert.equal(failed.error.line, 2);
  assert.match(failed.error.message, /volume/);
});

test('no digit is lost on the way, and the record comes back as it was given', async () => {
  const record = '{"id":9007199254740993,"organisation":{"id":80025},"volume":{"total":0.0085310000000000004},"n":1e400}';
  const { status, text } = await tryOut(`{"script":${JSON.stringify(ECHO)},"records":[${record}]}`);
  assert.equal(status, 200, text);
  assert.equal(text.split(record).length, 3); // as the record, and as what the script made of it
});

test('what is no record is told in its place; the others are tried', async () => {
  const got = await items({ script: ECHO, records: [{ id: 'seven' }, usage(), 7] });
  assert.deepEqual(got.map((item) => item.kept), [false, true, false]);
  assert.match(got[0].error.message, /would reject this record/);
  assert.equal(got[2].error.line, null);
});

test('alerts are shown with their record; windows begin empty and are not kept', async () => {
  const script = `return { api = 1, alert = function(rec, ctx)
    if ctx.count("login", "1h") == 3 then return { key = "k", title = "three", severity = "warn", for_s = 60 } end end }`;
  for (let round = 0; round < 2; round++) {
    const got = await items({ script, records: many(4, () => event()) });
    assert.deepEqual(got.map((item) => item.alerts.length), [0, 0, 1, 0]);
    assert.deepEqual(got[2].alerts[0], { key: 'k', title: 'three', severity: 'warn', for_s: 60 });
  }
  const [item] = await items({ script: 'return { api = 1,\nalert = function(rec) return rec.no.such end }', records: [event()] });
  assert.equal(item.kept, true);
  assert.equal(item.alert_error.line, 2);
});

test('with a sink the request is shown as it would go out, its secrets as stars; nothing is sent', async () => {
  const settings = { url: receiver.url, auth: 'bearer', token: 'sesame-open-now', signing_secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', headers: { 'x-own': 'here' } };
  const answer = await tryOut({ script: 'return { api = 1, map = function(r) return { n = r.n } end }', sink: 'rest', settings, records: [usage({ n: 7 })] });
  const { request, request_count } = answer.json.items[0];
  assert.equal(request.method, 'POST');
  assert.equal(request.url, receiver.url);
  assert.equal(request.body, '{"n":7}');
  assert.equal(request_count, 1);
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]));
  assert.equal(headers['x-own'], 'here');
  assert.equal(headers.authorization, 'Bearer ********');
  assert.match(headers['webhook-signature'], /^v1,/);
  assert.match(headers['webhook-id'], /^st_try-1$/);
  assert.match(headers['user-agent'], /^Sluice\//);
  assert.doesNotMatch(answer.text, /sesame|MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw/);
  assert.equal(receiver.requests.length, 0);
});

test('bulk sinks and several results: one request for a record, or its first', async () => {
  const script = 'return { api = 1, map = function(r) return array{ { n = 1 }, { n = 2 } } end }';
  const [bulk] = await items({ script, sink: 'rest_bulk', settings: { url: receiver.url }, records: [usage()] });
  assert.equal(bulk.request.body, '[{"n":1},{"n":2}]');
  assert.equal(bulk.request_count, 1);
  const [single] = await items({ script, sink: 'rest', settings: { url: receiver.url }, records: [usage()] });
  assert.equal(single.request.body, '{"n":1}');
  assert.equal(single.request_count, 2);
  assert.equal(receiver.requests.length, 0);
});

test("the sink's map runs on what the script made, and sees no secret", async (t) => {
  const own = new Engine();
  t.after(() => own.end());
  own.config.sinks = own.folder;
  writeFileSync(join(own.folder, 'chat.lua'), `return { api = 1, name = "chat", title = "Chat", accepts = { "event" }, framing = "one",
    settings = { { "url", type = "secret", label = "URL", required = true }, { "tag", type = "string", label = "Tag" } },
    batch = { records = 1, bytes = 1000 },
    map = function(rec, ctx) if rec.skip then return nil end return { text = rec.text, tag = ctx.settings.tag, url = ctx.settings.url } end,
    request = function(batch, settings) return { url = settings.url } end }`);
  await own.start();
  const script = 'return { api = 1, map = function(r) return { text = r.description, skip = r.skip } end }';
  const answer = await own.call('POST', '/api/v1/scripts/try', {
    script, sink: 'chat', settings: { url: 'https://chat.example/hook/s3cr3tpath', tag: 'T' }, records: [event({ description: 'D' }), event({ skip: true }), usage()],
  });
  const [kept, skipped, other] = answer.json.items;
  assert.equal(kept.request.body, '{"tag":"T","text":"D"}');
  assert.deepEqual(kept.records, [{ text: 'D' }]);
  assert.doesNotMatch(answer.text, /s3cr3tpath/);
  assert.deepEqual([skipped.kept, skipped.reason, skipped.request], [false, 'map', null]);
  assert.deepEqual([other.kept, other.reason], [false, 'sink']);
});

test('last: the newest records of an organisation, or of all, oldest of them first', async () => {
  const mine = 70001, records = many(30, (i) => usage({ n: i, organisation: { id: i % 3 ? mine : 70002 } }));
  await engine.send(records);
  const wanted = records.filter((record) => record.organisation.id === mine).slice(-5);
  const got = await items({ script: 'return { api = 1, map = function(r) return { n = r.n } end }', organisation_id: mine, last: 5 });
  assert.deepEqual(got.map((item) => item.records[0].n), wanted.map((record) => record.n));
  assert.deepEqual(got[0].record, wanted[0]);
  assert.deepEqual((await items({ script: ECHO, last: 1 })).map((item) => item.record.n), [29]);
  assert.deepEqual(await items({ script: ECHO, organisation_id: 70003 }), []);
  assert.equal((await items({ script: ECHO, organisation_id: 70002 })).length, 10); // twenty unless told
});

test('as a stream: its records, script, parameters and sink, its secrets unseen', async () => {
  const organisation = 70010;
  const stream = await engine.stream({
    organisation_id: organisation, type: 'events', sink: 'rest', active: false, parameters: { tag: 'T' },
    settings: { url: receiver.url, auth: 'bearer', token: 'sesame-of-the-stream' },
    script: 'return { api = 1, map = function(r, ctx) return { stream = ctx.stream.id, tag = ctx.parameters.tag } end }',
  });
  await engine.send([usage({ organisation: { id: organisation } }), event({ organisation: { id: organisation } })]);
  const answer = await tryOut({ stream_id: stream.id });
  assert.deepEqual(answer.json.items.map((item) => item.records), [[{ stream: stream.id, tag: 'T' }]]); // of its kinds alone
  assert.equal(answer.json.items[0].request.url, receiver.url);
  assert.doesNotMatch(answer.text, /sesame/);
  const [changed] = await items({ stream_id: stream.id, script: ECHO, settings: { url: 'http://other.example/', token: '********' }, records: [event()] });
  assert.equal(changed.request.url, 'http://other.example/');
  assert.equal(Object.entries(changed.request.headers).find(([name]) => name.toLowerCase() === 'authorization')[1], 'Bearer ********');
  problem(await tryOut({ stream_id: 'st_none' }), 404, /st_none/);
  problem(await tryOut({ stream_id: stream.id, organisation_id: 1 }), 422, /another than the stream's/);
  await engine.call('DELETE', `/api/v1/streams/${stream.id}`);
});

test('a script that does not compile is refused with its line, with records and without', async () => {
  problem(await tryOut({ script: 'return {\n  api = 1,\n  map = function( end\n}', records: [usage()] }), 422, /script:3:/);
  problem(await tryOut({ script: 'return 7', organisation_id: 70099 }), 422, /script/);
  problem(await tryOut({ script: CRASHER, records: [usage()] }), 422, /crashed/);
});

test('loops and hunger for memory fail their record alone; the engine goes on', async () => {
  const script = `return { api = 1, map = function(r)
    if r.n == 1 then while true do end end
    if r.n == 2 then local t = {} for i = 1, 1e9 do t[i] = { i } end end
    return { n = r.n } end }`;
  const got = await items({ script, records: many(4, (n) => usage({ n })) });
  assert.deepEqual(got.map((item) => item.kept), [true, false, false, true]);
  assert.match(got[1].error.message, /50 ms/);
  const all = await items({ script: 'return { api = 1, filter = function() while true do end end }', records: many(100, () => usage()) });
  assert.equal(all.length, 100);
  assert.ok(all.every((item) => !item.kept && item.error));
  assert.equal((await engine.call('GET', '/healthz')).status, 200);
});

test('bodies that are wrong are refused with what to do', async () => {
  const records = [usage()];
  for (const [body, words] of [
    [{ records }, /nothing to try/], [{ script: ECHO, records: [] }, /1 to 100/], [{ script: ECHO, records: many(101, () => usage()) }, /1 to 100/],
    [{ script: ECHO, records: 7 }, /array/], [{ script: ECHO, records, last: 3 }, /not both/], [{ script: ECHO, last: 0 }, /1 to 100/],
    [{ script: ECHO, last: 101 }, /1 to 100/], [{ script: ECHO, last: 'x' }, /1 to 100/], [{ script: 7, records }, /Lua source/],
    [{ script: ECHO, script_name: 'x', records }, /not both/], [{ script_name: 'nowhere', records }, /nowhere/], [{ script_name: '../x', records }, /a-z/],
    [{ script: ECHO, parameters: 7, records }, /parameters/], [{ script: ECHO, sink: 'rets', records }, /did you mean 'rest'/],
    [{ script: ECHO, sink: 'rest', settings: {}, records }, /url/], [{ script: ECHO, settings: {}, records }, /without a 'sink'/],
    [{ script: ECHO, organisation_id: 'x', records }, /organisation_id/], [{ scirpt: ECHO, records }, /did you mean 'script'/],
    [{ script: ' '.repeat(70000), records }, /65536/], [[1], /object/],
    [{ script: ECHO, records: many(5, () => usage({ pad: 'x'.repeat(900000) })) }, /4 MB/],
  ]) problem(await tryOut(body), 422, words);
  problem(await tryOut({ script: ECHO, records: many(6, () => usage({ pad: 'x'.repeat(900000) })) }), 413, /5 MB/);
  problem(await tryOut('{"script":'), 400, /line 1/);
  problem(await engine.call('POST', '/api/v1/scripts/try', { script: ECHO }, { Authorization: 'Bearer x' }), 401, /token/);
});

test('many tries at once are all answered, or told to come again', async () => {
  const answers = await Promise.all(many(60, (n) => tryOut({ script: ECHO, records: [usage({ n })] })));
  assert.ok(answers.every(({ status }) => status === 200 || status === 503));
  for (const [n, { status, json, headers }] of answers.entries())
    if (status === 200) assert.equal(json.items[0].record.n, n);
    else assert.ok(headers.get('retry-after'));
});

// ---- shared scripts ----

test('a shared script is written, shown, listed, used and removed', async () => {
  const made = await api('PUT', '/big-ones_2', { script: LARGE });
  assert.equal(made.status, 201);
  const { version } = made.json;
  assert.deepEqual((await api('GET', '/big-ones_2')).json, { name: 'big-ones_2', script: LARGE, version });
  assert.equal((await api('PUT', '/big-ones_2', made.json)).status, 200); // as it was shown
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script_name: 'big-ones_2', active: false });
  assert.equal(stream.status.script_version, version);
  assert.deepEqual((await api('GET', '')).json.items.find(({ name }) => name === 'big-ones_2'), { name: 'big-ones_2', version, streams: 1 });
  problem(await api('DELETE', '/big-ones_2'), 409, new RegExp(stream.id));
  assert.equal((await engine.call('DELETE', `/api/v1/streams/${stream.id}`)).status, 200);
  assert.equal((await api('DELETE', '/big-ones_2')).status, 200);
  problem(await api('DELETE', '/big-ones_2'), 404, /big-ones_2/);
  problem(await api('GET', '/big-ones_2'), 404, /big-ones_2/);
});

test('a stream goes on with the version that was put last', async (t) => {
  const mine = await Receiver.start();
  t.after(() => mine.end());
  await api('PUT', '/growing', { script: 'return { api = 1, map = function(r) return { v = 1, id = r.id } end }' });
  const { id } = await engine.stream({ sink: 'rest', settings: { url: mine.url }, script_name: 'growing', organisation_id: 70020 });
  const send = () => engine.send([usage({ organisation: { id: 70020 } })]);
  await send();
  assert.equal((await mine.arrived(1))[0].v, 1);
  const { version } = (await api('PUT', '/growing', { script: 'return { api = 1, map = function(r) return { v = 2, id = r.id } end }' })).json;
  await until(async () => (await engine.status(id)).script_version === version, 'the new version');
  await send();
  assert.equal((await mine.arrived(2))[1].v, 2);
  await engine.call('DELETE', `/api/v1/streams/${id}`);
  assert.equal((await api('DELETE', '/growing')).status, 200);
});

test('a file that is no text is told as such', async () => {
  writeFileSync(join(engine.config.scripts, 'latin.lua'), Buffer.from([0x2d, 0x2d, 0xe9, 0x0a]));
  problem(await api('GET', '/latin'), 422, /latin\.lua is not UTF-8/);
  await api('DELETE', '/latin');
});

test('a wrong script is refused with its line, and the file stays as it was', async () => {
  const file = join(engine.config.scripts, 'kept.lua');
  await api('PUT', '/kept', { script: ECHO });
  for (const [body, status, words] of [
    [{ script: 'return {\n  api = 1,\n  map = function( end\n}' }, 422, /kept\.lua:3:/], [{ script: CRASHER }, 422, /crashed/], [{ script: 7 }, 422, /Lua source/],
    [{}, 422, /Lua source/], [{ script: ECHO, name: 'other' }, 422, /other/], [{ script: ECHO, nmae: 'kept' }, 422, /did you mean 'name'/],
    [{ script: '-'.repeat(70000) }, 422, /65536/], ['{', 400, /line/],
  ]) problem(await api('PUT', '/kept', body), status, words);
  assert.equal(readFileSync(file, 'utf8'), ECHO);
  assert.deepEqual(readdirSync(engine.config.scripts).filter((name) => !name.endsWith('.lua')), []); // nothing half
  await api('DELETE', '/kept');
  assert.equal(existsSync(file), false);
});

test('names that could be anything else are refused', async () => {
  for (const name of ['UPPER', 'a.b', 'x'.repeat(65), 'some_spec', '%2e%2e', 'a%2fb']) {
    const answer = await api('PUT', `/${name}`, { script: ECHO });
    assert.ok(answer.status === 422 || answer.status === 404, `${name}: ${answer.status}`);
    assert.equal((await api('GET', `/${name}`)).status, 404);
  }
  assert.deepEqual((await api('GET', '')).json.items, []);
});

test('the list goes page by page in order, and leaves out what is no shared script', async () => {
  const names = many(25, (i) => `page-${String(i).padStart(2, '0')}`);
  for (const name of names) writeFileSync(join(engine.config.scripts, `${name}.lua`), ECHO);
  for (const other of ['page-00_spec.lua', 'Readme.lua', 'page.txt', '.hidden.lua']) writeFileSync(join(engine.config.scripts, other), 'x');
  const seen = [];
  for (let after = ''; ;) {
    const { json } = await api('GET', `?limit=10${after && `&after=${after}`}`);
    assert.ok(json.items.length <= 10);
    seen.push(...json.items.map(({ name }) => name));
    after = json.next;
    if (!after) break;
  }
  assert.deepEqual(seen, names);
  problem(await api('GET', '?limit=0'), 400, /limit/);
  for (const file of readdirSync(engine.config.scripts)) await api('DELETE', `/${file.replace('.lua', '')}`);
});

test('a scripts folder that is not there has no scripts, and is made by the first', async (t) => {
  const own = await Engine.start();
  t.after(() => own.end());
  own.config.scripts = join(own.folder, 'more/scripts');
  await own.stop();
  mkdirSync(own.config.scripts, { recursive: true });
  await own.start();
  rmSync(own.config.scripts, { recursive: true });
  assert.deepEqual((await own.call('GET', '/api/v1/scripts')).json, { items: [], next: null });
  assert.equal((await own.call('PUT', '/api/v1/scripts/first', { script: ECHO })).status, 201);
  assert.equal(readFileSync(join(own.config.scripts, 'first.lua'), 'utf8'), ECHO);
});

// ---- from the shell ----

const file = (name, text) => {
  const path = join(engine.folder, name);
  writeFileSync(path, text);
  return path;
};

test('scripts list, show, update and delete', async () => {
  const path = file('mine.lua', LARGE);
  const updated = await run(engine, ['scripts', 'update', 'mine', path]);
  assert.deepEqual([updated.code, updated.err], [0, '']);
  assert.match(updated.out, /^mine is version [0-9a-f]+\n$/);
  assert.equal((await run(engine, ['scripts', 'show', 'mine'])).out, LARGE);
  assert.equal(JSON.parse((await run(engine, ['scripts', 'show', 'mine', '--json'])).out).script, LARGE);
  const list = await run(engine, ['scripts', 'list']);
  assert.match(list.out, /NAME +VERSION +STREAMS/);
  assert.match(list.out, /mine +[0-9a-f]{16} +0/);
  assert.equal(JSON.parse((await run(engine, ['scripts', 'list', '--json'])).out).items[0].name, 'mine');
  const wrong = await run(engine, ['scripts', 'update', 'mine', file('wrong.lua', 'return {\n')]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /wrong\.lua:\d+: /);
  assert.equal((await run(engine, ['scripts', 'delete', 'mine'])).out, 'mine deleted\n');
  assert.equal((await run(engine, ['scripts', 'show', 'mine'])).code, 1);
  assert.match((await run(engine, ['scripts', 'show', '../x'])).err, /no script's name/);
});

test('scripts try prints what a script makes of a file or of the newest records', async () => {
  const records = [usage({ volume: { total: 5 } }), usage({ volume: { total: 0 } }), usage({ volume: 3 })];
  const script = file('try.lua', LARGE), input = file('three.ndjson', `${records.map((record) => JSON.stringify(record)).join('\n')}\n`);
  const tried = await run(engine, ['scripts', 'try', script, '--records', input, '--parameters', '{"unit":"MB"}']);
  assert.equal(tried.code, 1);
  assert.equal(tried.out, `{"id":${records[0].id},"unit":"MB"}\n`);
  assert.match(tried.err, new RegExp(`log: seen ${records[0].id}\n`));
  assert.match(tried.err, new RegExp(`try\\.lua:2: .*\\(record ${records[2].id}\\)`));
  assert.match(tried.err, /1 kept, 1 dropped \(little\), 1 failed\n$/);
  await engine.send(many(3, (n) => usage({ n, organisation: { id: 70077 } })));
  const newest = await run(engine, ['scripts', 'try', file('n.lua', 'return { api = 1, map = function(r) return { n = r.n } end }'), '--last', '2', '--organisation', '70077']);
  assert.deepEqual([newest.code, newest.out, newest.err], [0, '{"n":1}\n{"n":2}\n', '2 kept\n']);
  const whole = await run(engine, ['scripts', 'try', script, '--records', '-', '--json'], { input: JSON.stringify(records[0]) });
  assert.equal(JSON.parse(whole.out).items[0].kept, true);
});

test('scripts try says what is wrong with its arguments and its files', async () => {
  const script = file('ok.lua', ECHO);
  for (const [args, code, words] of [
    [[], 2, /FILE\.lua is missing/], [[script, 'more'], 2, /unexpected argument 'more'/], [[script, '--last', '101'], 2, /--last must be/],
    [[script, '--last', '1', '--records', 'x'], 2, /not both/], [['/nowhere.lua'], 1, /nowhere/], [[script, '--records', '/nowhere'], 1, /nowhere/],
    [[file('bad.lua', 'return {\n')], 1, /bad\.lua:\d+: /], [[script, '--records', file('bad.ndjson', '{"id":1}\n{"id":\n')], 1, /bad\.ndjson: line 2: /],
    [[script, '--records', file('many.ndjson', '{}\n'.repeat(101))], 1, /more than 100/], [[script, '--parameters', '{'], 1, /JSON/],
  ]) {
    const { code: ended, err } = await run(engine, ['scripts', 'try', ...args]);
    assert.equal(ended, code, err);
    assert.match(err, words);
  }
  assert.equal((await run(engine, ['scripts', 'try', '-h'])).code, 0);
  assert.match((await run(engine, ['scripts', 'lst'])).err, /did you mean 'list'/);
});
