// Bad input: each gets a clear error, and nothing else suffers.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { connect } from 'node:net';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine, TOKEN, program, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

let engine, receiver;
before(async () => {
  engine = await Engine.start({ limits: { body: '2MB' } });
  receiver = await Receiver.start();
});
after(async () => { await engine.end(); receiver.end(); });

const post = (body, headers) => engine.call('POST', '/api/v1/records', body, headers);
const ndjson = { 'Content-Type': 'application/x-ndjson' };
function problem(answer, status, words) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.type, /^application\/problem\+json/);
  assert.match(answer.json.detail, words);
}

test('broken JSON in line 300 of 500: the other 499 are taken', async () => {
  const lines = many(500, () => JSON.stringify(usage()));
  lines[299] = lines[299].slice(0, -20);
  const { json } = await post(lines.join('\n'), ndjson);
  assert.equal(json.accepted, 499);
  assert.equal(json.rejected.length, 1);
  assert.equal(json.rejected[0].index, 299);
});

test('each record that can not be taken is named by its index with the reason', async () => {
  const deep = '['.repeat(80) + ']'.repeat(80), big = 'x'.repeat(1 << 20);
  const body = `[${[JSON.stringify(usage()), '{"id":"7","organisation":{"id":1},"volume":{}}', '{"id":1,"organisation":{"id":"x"},"volume":{}}',
    '{"id":1,"organisation":{"id":1}}', '7', '{"id":1.5,"organisation":{"id":1},"volume":{}}', `{"id":5,"organisation":{"id":1},"volume":${deep}}`,
    `{"id":6,"organisation":{"id":1},"volume":"${big}"}`, '{"id":99999999999999999999,"organisation":{"id":1},"volume":{}}', JSON.stringify(usage())].join(',')}]`;
  const { json, text } = await post(body);
  assert.equal(json?.accepted, 2, text.slice(0, 300));
  assert.deepEqual(json.rejected.map((r) => r.index), [1, 2, 3, 4, 5, 6, 7, 8]);
  for (const [i, words] of [[0, /id/], [1, /organisation/], [2, /event|usage/], [3, /object/], [5, /deep/], [6, /1 MB/]]) assert.match(json.rejected[i].error, words);
});

test('a broken array or object is refused whole', async () => {
  problem(await post(`[${JSON.stringify(usage())},{"id":1,]`), 400, /byte \d+/);
  problem(await post('{"id":'), 400, /byte/);
  problem(await post(''), 400, /./);
  problem(await post('[1,2'), 400, /./);
  problem(await post('[] x'), 400, /behind/);
});

test('bodies that are too large are refused, packed ones by what they unpack to', async () => {
  problem(await post('['.padEnd(3 << 20, ' ')), 413, /./);
  problem(await post(gzipSync(Buffer.alloc(64 << 20, 32)), { 'Content-Encoding': 'gzip' }), 413, /./);
  problem(await post(Buffer.from('not gzip'), { 'Content-Encoding': 'gzip' }), 400, /gzip/);
  const packed = gzipSync(JSON.stringify([usage()]));
  assert.equal((await post(packed, { 'Content-Encoding': 'gzip' })).json.accepted, 1);
  problem(await post(packed.subarray(0, packed.length - 9), { 'Content-Encoding': 'gzip' }), 400, /gzip/);
});

test('content types and encodings that are not known are refused by name', async () => {
  problem(await post('a=b', { 'Content-Type': 'application/x-www-form-urlencoded' }), 415, /x-www-form-urlencoded.*application\/json/);
  problem(await post('[]', { 'Content-Type': '' }), 415, /Content-Type is empty.*application\/json/);
  problem(await post('[]', { 'Content-Encoding': 'br' }), 415, /br/);
});

test('without the right token nothing is taken', async () => {
  for (const headers of [{ Authorization: '' }, { Authorization: 'Bearer wrong-token' }, { Authorization: 'Basic abc' }])
    problem(await engine.call('POST', '/api/v1/records', [usage()], headers), 401, /token/);
  problem(await engine.call('GET', '/api/v1/streams', undefined, { Authorization: 'Bearer x' }), 401, /token/);
  assert.equal((await engine.call('GET', '/healthz', undefined, { Authorization: '' })).status, 200);
  for (const scheme of ['bearer', 'BEARER', 'Bearer '])
    assert.equal((await engine.call('GET', '/api/v1/streams', undefined, { Authorization: `${scheme} ${TOKEN}` })).status, 200, scheme);
});

test('paths and methods that are not there', async () => {
  problem(await engine.call('GET', '/api/v1/nothing'), 404, /path/);
  problem(await engine.call('GET', '/api/v1/records'), 405, /POST/);
  problem(await engine.call('GET', '/api/v1/streams/st_none'), 404, /st_none/);
  for (const path of ['tokens', 'users', 'session', 'tail', 'openapi.json',
    'streams/st_1/replay', 'streams/st_1/deliveries', 'streams/st_1/dead-letters/redrive'])
    for (const method of ['GET', 'POST', 'PUT']) problem(await engine.call(method, `/api/v1/${path}`), 501, /not in this version/);
  problem(await engine.call('POST', '/api/v1/streams/st_1/tests'), 404, /path/);
});

test('a path tells its methods, to whoever asks and to whoever uses another', async () => {
  for (const [path, methods] of [['/api/v1/records', 'POST, OPTIONS'], ['/api/v1/streams', 'GET, HEAD, POST, OPTIONS'],
    ['/api/v1/streams/st_none', 'GET, HEAD, PATCH, DELETE, OPTIONS'], ['/healthz', 'GET, HEAD, OPTIONS']]) {
    const asked = await engine.call('OPTIONS', path, undefined, { Authorization: '' }), wrong = await engine.call('PUT', path, '{}');
    assert.deepEqual([asked.status, asked.text, asked.headers.get('allow')], [204, '', methods]);
    problem(wrong, 405, new RegExp(methods));
    assert.equal(wrong.headers.get('allow'), methods);
  }
  problem(await engine.call('OPTIONS', '/api/v1/nothing'), 404, /path/);
});

test('streams that are wrong are refused with what to do', async () => {
  const good = { name: 'x', type: 'usage', sink: 'rest', settings: { url: 'http://127.0.0.1:1/' } };
  for (const [change, words] of [
    [{ sink: 'rets' }, /unknown sink 'rets'; did you mean 'rest'/], [{ settings: { url: 'http://h/', metod: 'PUT' } }, /metod.*did you mean.*method/],
    [{ settings: {} }, /url/], [{ settings: { url: 'ftp://h/' } }, /url/], [{ type: 'use' }, /type/], [{ name: '' }, /name/],
    [{ in_flight: 0 }, /in_flight/], [{ organisation_id: 'a' }, /organisation_id/], [{ scrip: 'x' }, /did you mean 'script'/],
    [{ script: 'local M = {api = 1}\nfunction M.filter(rec) retrun true end\nreturn M' }, /:2:/],
    [{ script: 'return 5' }, /table/], [{ script: 'local M = {api=1}\nM.fliter = function() end\nreturn M' }, /fliter.*filter/],
    [{ settings: { url: 'http://h/', ca: '/none.pem' } }, /setting ca: cannot read \/none\.pem: No such file/],
    [{ settings: { url: 'http://h/', signing_secret: 'whsec_!!!' } }, /signing_secret.*base64/],
    [{ settings: { url: 'http://h/', auth: 'bearer', token: 't', headers: { Authorization: 'x' } } }, /Authorization.*auth/],
    [{ script_name: 'not-there' }, /not-there/], [{ script: 'return {api=1}', script_name: 'x' }, /both/], [{ settings: { url: 'http://h/', headers: { Host: 'x' } } }, /Host/],
  ]) problem(await engine.call('POST', '/api/v1/streams', { ...good, ...change }), 422, words);
  problem(await engine.call('POST', '/api/v1/streams', '{"name":'), 400, /JSON/);
});

test('a stream whose JSON is broken is refused with the place, in plain words', async () => {
  for (const [body, words] of [
    ['{"name":', /line 1, column 9: /], ['{\n "é": 1,\n "name" "x"}', /line 3, column 9: .*':'/], ['{"name":"a\\u0000b"}', /line 1, .*\\u0000 is not taken/],
    ['{"a\\u0000":1}', /u0000 is not taken/], ['{"a":1,"a":2}', /twice/], ['{"a":99999999999999999999}', /too large/], ['{"a":1e999}', /too large/],
    ['['.repeat(5000), /inside each other/], ['x', /line 1, column 1: /], ['{} {}', /line 1, column 4: /], ['', /empty/], ['{"a":"\xff"}', /line 1/],
    ['{"a":"\\ud800"}', /surrogate/],
  ]) {
    const answer = await engine.call('POST', '/api/v1/streams', body.includes('\xff') ? Buffer.from(body, 'latin1') : body);
    problem(answer, 400, words);
    assert.doesNotMatch(answer.json.detail, /JSON_|near|end of file|unable to decode/);
  }
  for (const body of ['[]', '5', '"x"', 'null']) problem(await engine.call('POST', '/api/v1/streams', body), 422, /must be a JSON object/);
  problem(await engine.call('POST', '/api/v1/streams', Buffer.from('{}'), { 'Content-Type': '' }), 415, /Content-Type is empty/);
  problem(await engine.call('POST', '/api/v1/streams', '{}', { 'Content-Type': 'text/plain' }), 415, /not text\/plain/);
});

test('a change that is wrong is refused too', async () => {
  const { id } = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, organisation_id: 80099 });
  for (const [change, words] of [
    [{ id: 'st_other' }, /id.*can't be changed/], [{ organisation_id: 1 }, /organisation_id.*can't be changed/], [{ created_ms: 1 }, /created_ms/],
    [{ script: 'return { api = 1, alert = true }' }, /'alert' must be a function/],
    [{ settings: { signing_secret_previous: 'a' } }, /needs signing_secret/],
  ]) problem(await engine.call('PATCH', `/api/v1/streams/${id}`, change), 422, words);
});

test('a script that crashes the compiler crashes nothing else', async () => {
  const before = engine.pid;
  problem(await engine.call('POST', '/api/v1/streams', { name: 'x', type: 'usage', sink: 'rest', settings: { url: receiver.url },
    script: 'local _\nfor _ in (nil):foo() do end\n' }), 422, /./);
  assert.equal((await engine.call('GET', '/healthz')).status, 200);
  assert.equal(engine.pid, before);
});

test('an error, an endless loop and a pattern that backtracks for ever cost their record alone, as dead letters', { timeout: 60000 }, async (t) => {
  const mine = await Receiver.start();
  t.after(() => mine.end());
  const script = `local M = { api = 1 }
    function M.filter(rec)
      log("seen", rec.test)
      if rec.test == "error" then return rec.nothing.there end
      if rec.test == "loop" then while true do end end
      if rec.test == "pattern" then string.find(string.rep("a", 30), string.rep("a?", 30) .. string.rep("a", 30) .. "b") end
      return true
    end
    return M`;
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: mine.url }, script, organisation_id: 80025 });
  const other = await engine.stream({ sink: 'rest_bulk', settings: { url: mine.url + '/other' }, organisation_id: 80025 });
  const sent = many(60, (i) => usage({ test: { 10: 'error', 20: 'loop', 30: 'pattern' }[i] ?? 'fine', endpoint: { id: i } }));
  await engine.send(sent);
  const settled = async ({ id }) => { const s = await engine.status(id); return s.delivered + s.dead === 60; };
  await until(async () => (await settled(stream)) && settled(other), 'both streams to settle');
  const dead = await engine.deadLetters(stream.id);
  assert.deepEqual(dead.map((d) => d.record.test).sort(), ['error', 'loop', 'pattern']);
  for (const [kind, line, words] of [['error', 4, /nothing/], ['loop', 5, /took longer than 50 ms/], ['pattern', 6, /pattern is too complex/]]) {
    const failure = dead.find((d) => d.record.test === kind);
    assert.match(failure.reason, words);
    assert.deepEqual([failure.line, failure.kind], [line, 'usage']);
  }
  const status = await engine.status(stream.id);
  assert.deepEqual([status.delivered, status.dead], [57, 3]);
  assert.equal((await engine.status(other.id)).delivered, 60);
  assert.match(engine.log, new RegExp(`stream=${stream.id} record=${sent[0].id} doing=log text="seen fine"`));
  const metrics = (await engine.call('GET', '/metrics')).text;
  assert.ok(Number(metrics.match(`sluice_script_seconds\\{stream="${stream.id}"\\} (\\S+)`)[1]) > 0);
});

test('a stream that buries everything says why, until something is delivered', async (t) => {
  const mine = await Receiver.start();
  t.after(() => mine.end());
  const script = 'local M = { api = 1 }\nfunction M.filter(rec)\n  return rec.fine or rec.nothing.there\nend\nreturn M';
  const { id } = await engine.stream({ sink: 'rest', settings: { url: mine.url }, script, organisation_id: 80098 });
  await engine.send([usage({ organisation: { id: 80098 } })]);
  await until(async () => (await engine.status(id)).dead === 1, 'the dead letter');
  assert.match((await engine.status(id)).last_error, /^line 3: .*nothing/);
  await engine.send([usage({ organisation: { id: 80098 }, fine: true })]);
  const recovered = ({ delivered, last_error: error }) => delivered === 1 && error === null;
  await until(async () => recovered(await engine.status(id)), 'the other record');
});

test('a request that dribbles, and one that stops half way, hold nobody up', async () => {
  const { hostname, port } = new URL(engine.url);
  const half = connect(Number(port), hostname);
  half.write('POST /api/v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[{"id"');
  half.on('error', () => {});
  assert.equal((await post([usage()])).json.accepted, 1);
  half.destroy();
});

function run(args, config) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  const file = join(folder, 'sluice.lua');
  writeFileSync(file, config.replace('FOLDER', folder));
  const done = spawnSync(program, [...args, '-c', file], { encoding: 'utf8', timeout: 20000, cwd: folder });
  return { code: done.status, words: done.stderr, folder };
}

test('configurations that can not work end the program with the reason', async () => {
  const { port } = new URL(engine.url);
  const used = run(['run'], `return { listen = "127.0.0.1:${port}", data = "FOLDER/data" }`);
  assert.equal(used.code, 1);
  assert.match(used.words, new RegExp(`${port}.*in use`, 'i'));
  const twice = run(['run'], `return { listen = "127.0.0.1:0", data = ${JSON.stringify(engine.config.data)} }`);
  assert.equal(twice.code, 1);
  assert.match(twice.words, /another engine/);
  const key = run(['run'], 'return {\n  lisen = "127.0.0.1:0" }');
  assert.equal(key.code, 2);
  assert.match(key.words, /lisen.*did you mean .listen/);
  const syntax = run(['run'], 'return {\n  listen = \n}');
  assert.equal(syntax.code, 2);
  assert.match(syntax.words, /sluice\.lua:\d+:/);
});

test('a data folder of a newer version, or one that can not be written, is refused in words', async () => {
  const file = mkdtempSync(join(tmpdir(), 'sluice-')) + '/file';
  writeFileSync(file, 'x');
  const blocked = run(['run'], `return { listen = "127.0.0.1:0", data = ${JSON.stringify(file + '/data')} }`);
  assert.equal(blocked.code, 1);
  assert.match(blocked.words, /not a folder/);
});
