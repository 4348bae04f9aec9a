// POST /streams/ID/test says whether the destination takes a stream's settings, and which one to look at; the stream itself goes on.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, TOKEN, program, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { many } from '../support/records.mjs';

async function road(t, answer, config) {
  const receiver = await Receiver.start(answer);
  const engine = await Engine.start(config);
  t.after(async () => { await engine.end(); receiver.end(); });
  return { engine, receiver };
}

const probe = (engine, stream) => engine.call('POST', `/api/v1/streams/${stream.id}/test`);

test('a destination that takes a marked record works', async (t) => {
  const { engine, receiver } = await road(t, () => 202);
  for (const [sink, body] of [['rest', '{"sluice":"test"}'], ['rest_bulk', '[{"sluice":"test"}]']]) {
    const stream = await engine.stream({ sink, settings: { url: receiver.url, auth: 'bearer', token: 'secret-1', signing_secret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=' } });
    const { status, json } = await probe(engine, stream);
    assert.equal(status, 200);
    assert.deepEqual({ ...json, took_ms: 0 }, { ok: true, status: 202, took_ms: 0, message: 'HTTP status 202: the settings work' });
    const request = receiver.requests.at(-1);
    assert.equal(request.body, body);
    assert.equal(request.headers.authorization, 'Bearer secret-1');
    assert.match(request.headers['webhook-signature'], /^v1,/);
    const now = await engine.status(stream.id);
    assert.equal(now.state, 'pending');
    assert.equal(now.delivered, 0);
  }
});

test('what is wrong is said in words', async (t) => {
  let status = 401;
  const { engine, receiver } = await road(t, () => ({ status, headers: status === 301 ? { location: '/there' } : {} }));
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  for (const [answer, words] of [[401, /credentials/], [403, /does not let them in/], [404, /nothing is at this URL/], [405, /method/],
    [415, /content type/], [301, /redirect/], [422, /does not take what was sent/], [503, /takes no records now/]]) {
    status = answer;
    const { json } = await probe(engine, stream);
    assert.deepEqual([json.ok, json.status], [false, answer]);
    assert.match(json.message, words);
  }
  receiver.end();
  const gone = await engine.stream({ sink: 'rest', settings: { url: 'http://127.0.0.1:1/' } });
  const { json } = await probe(engine, gone);
  assert.deepEqual([json.ok, json.status], [false, 0]);
  assert.match(json.message, /connect.*look at the URL/i);
  assert.equal((await engine.status(stream.id)).state, 'pending'); // none of it is the stream's
});

test('an address that the policy does not allow is not tried', async (t) => {
  const { engine, receiver } = await road(t, () => 200, { egress: { allow: [] } });
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  const { json } = await probe(engine, stream);
  assert.deepEqual([json.ok, json.status], [false, 0]);
  assert.match(json.message, /egress policy/);
  assert.equal(receiver.requests.length, 0);
});

test("a sink's own verdict has the word, and one without a probe says so", async (t) => {
  const receiver = await Receiver.start(() => ({ status: 403, headers: { 'x-reason': 'topic' } }));
  const engine = new Engine();
  engine.config.sinks = join(engine.folder, 'sinks');
  mkdirSync(engine.config.sinks);
  const head = (name) => `local S = { api = 1, name = "${name}", title = "T", framing = "array", settings = { { "url", type = "url", label = "U", required = true } } }
function S.request(batch, settings) return { url = settings.url } end\n`;
  writeFileSync(join(engine.config.sinks, 'talks.lua'), `${head('talks')}
function S.probe(settings, now) return { url = settings.url, method = "GET", headers = { ["x-now"] = tostring(now) } } end
function S.verdict(response, batch) return "pause", "setting topic: " .. response.headers["x-reason"] .. " " .. batch.id end
return S`);
  writeFileSync(join(engine.config.sinks, 'silent.lua'), `${head('silent')}return S`);
  writeFileSync(join(engine.config.sinks, 'breaks.lua'), `${head('breaks')}function S.probe(settings) return settings.nothing.at end\nreturn S`);
  await engine.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const make = (sink) => engine.stream({ sink, settings: { url: receiver.url } });
  const { json } = await probe(engine, await make('talks'));
  assert.equal(json.message, 'setting topic: topic probe (HTTP status 403)');
  assert.equal(receiver.requests[0].method, 'GET');
  assert.ok(Math.abs(Number(receiver.requests[0].headers['x-now']) - Date.now()) < 60000);
  const silent = await probe(engine, await make('silent'));
  assert.equal(silent.status, 422);
  assert.match(silent.text, /has no probe/);
  const broken = await probe(engine, await make('breaks'));
  assert.equal(broken.json.ok, false);
  assert.match(broken.json.message, /breaks\.lua:3/);
  assert.equal((await engine.call('POST', '/api/v1/streams/st_nobody/test')).status, 404);
});

test('many at once, some while the engine stops', async (t) => {
  let asked = 0;
  const { engine, receiver } = await road(t, () => new Promise(() => { asked++; }), { couriers: 1 });
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  const told = [];
  const calls = many(24, () => probe(engine, stream).then((answer) => told.push(answer), () => {})); // 16 wait for an answer that does not come
  await until(() => asked === 16 && told.length === 8, '16 probes, and 8 refused');
  assert.ok(told.every((answer) => answer.status === 503 && /too many/.test(answer.text)));
  assert.equal(await engine.stop(), 0);
  await Promise.all(calls);
});

test('sluice streams test', async (t) => {
  let status = 200;
  const { engine, receiver } = await road(t, () => status);
  const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  const run = (...args) => new Promise((done) => execFile(program, ['streams', 'test', stream.id, '--url', engine.url, ...args],
    { env: { ...process.env, SLUICE_TOKEN: TOKEN } }, (error, out, err) => done({ code: error?.code ?? 0, out, err })));
  assert.deepEqual(await run(), { code: 0, out: 'HTTP status 200: the settings work\n', err: '' });
  status = 401;
  const refused = await run();
  assert.equal(refused.code, 1);
  assert.match(refused.err, /credentials/);
  assert.equal(JSON.parse((await run('--json')).out).ok, false);
});
