// The commands a person types: send, receive, streams and version, on a real engine.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, TOKEN, program, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

let engine;
before(async () => { engine = await Engine.start(); });
after(async () => { await engine.end(); });

function start(...args) {
  const child = spawn(program, args, { env: { ...process.env, SLUICE_URL: engine.url, SLUICE_TOKEN: TOKEN } });
  const running = { child, out: '', err: '', ended: once(child, 'close') };
  child.stdout.on('data', (text) => { running.out += text; });
  child.stderr.on('data', (text) => { running.err += text; });
  return running;
}

async function run(...args) {
  const running = start(...args);
  running.child.stdin.end();
  const [code] = await running.ended;
  return { code, out: running.out, err: running.err };
}

async function receiver(...args) {
  const running = start('receive', '--port', '0', ...args);
  running.url = await until(() => running.err.match(/listening on (http:\S+)/)?.[1], 'the receiver to listen');
  running.post = async (body, headers = {}) => (await fetch(running.url, { method: 'POST', body, headers })).status;
  return running;
}

function file(name, text) {
  const path = join(engine.folder, name);
  writeFileSync(path, text);
  return path;
}

test('version says which', async () => {
  assert.match((await run('version')).out, /^sluice \d+\.\d+\.\d+\n$/);
});

test('wrong usage is exit code 2, and help is 0', async () => {
  for (const command of ['send', 'receive', 'streams', 'version']) {
    assert.equal((await run(command, '--nonsense')).code, 2, command);
    const help = await run(command, '-h');
    assert.equal(help.code, 0, command);
    assert.match(help.out, /^usage: /);
  }
});

test('send counts what was taken and names the lines that were not', async () => {
  const lines = many(10, () => JSON.stringify(usage()));
  const path = file('some.ndjson', [...lines.slice(0, 5), '', '{"id":', ...lines.slice(5), lines[0]].join('\n'));
  const sent = await run('send', path, '--batch', '3');
  assert.equal(sent.out, 'sent 12 accepted 10 duplicates 1 rejected 1\n');
  assert.match(sent.err, /^line 7: /m);
  assert.equal(sent.code, 1);
  const again = await run('send', file('good.ndjson', lines.join('\n')));
  assert.equal(again.out, 'sent 10 accepted 0 duplicates 10 rejected 0\n');
  assert.equal(again.code, 0);
});

test('send says why when it can not deliver', async () => {
  const path = file('one.ndjson', JSON.stringify(usage()));
  const nobody = await run('send', path, '--url', 'http://127.0.0.1:1');
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /127\.0\.0\.1:1/);
  assert.equal((await run('send', '/nonexistent')).code, 1);
});

test('receive prints the records of objects, arrays, NDJSON and gzip bodies as lines, and ends after --count', async () => {
  const r = await receiver('--count', '6');
  assert.equal(await r.post('{"a":\n1}'), 200);
  assert.equal(await r.post('[{"b":2},\n{"b":3}]'), 200);
  assert.equal(await r.post(gzipSync('{"c":4}\n{"c":5}\n'), { 'Content-Encoding': 'gzip' }), 200);
  assert.equal(await r.post('no json'), 200);
  assert.deepEqual(await r.ended, [0, null]);
  assert.equal(r.out, '{"a": 1}\n{"b":2}\n{"b":3}\n{"c":4}\n{"c":5}\n"no json"\n');
});

test('receive checks signatures', async () => {
  const r = await receiver('--secret', 'a secret');
  const sign = (body) => `v1,${createHmac('sha256', 'a secret').update(`msg_1.1700000000.${body}`).digest('base64')}`;
  const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': '1700000000' };
  assert.equal(await r.post('{"a":1}', { ...headers, 'webhook-signature': sign('{"a":1}') }), 200);
  assert.equal(await r.post('{"a":2}', { ...headers, 'webhook-signature': sign('{"a":1}') }), 401);
  assert.equal(await r.post('{"a":3}'), 401);
  r.child.kill('SIGTERM');
  assert.deepEqual(await r.ended, [0, null]);
  assert.equal(r.out, '{"a":1}\n');
});

test('receive fails as often as asked and prints nothing of what it failed', async () => {
  const r = await receiver('--fail', '100');
  assert.equal(await r.post('{"a":1}'), 500);
  r.child.kill('SIGINT');
  assert.deepEqual(await r.ended, [0, null]);
  assert.equal(r.out, '');
});

test('streams: created, listed, shown, changed, switched off and on, deleted', async () => {
  const settings = { url: 'http://127.0.0.1:1/' };
  const definition = { name: 'from the shell', organisation_id: 80025, type: 'usage', sink: 'rest', settings };
  const created = await run('streams', 'create', file('stream.json', JSON.stringify(definition)), '--json');
  assert.equal(created.code, 0, created.err);
  const { id } = JSON.parse(created.out);
  const list = await run('streams', 'list');
  assert.match(list.out, /^ID +NAME +ORGANISATION/);
  assert.match(list.out, new RegExp(`^${id} +from the shell +80025 +usage +rest `, 'm'));
  assert.equal(JSON.parse((await run('streams', 'list', '--json')).out)[0].id, id);
  assert.equal((await run('streams', 'update', id, file('change.json', '{"name":"renamed"}'))).code, 0);
  assert.match((await run('streams', 'show', id)).out, /^name +renamed$/m);
  const shown = await run('streams', 'show', id, '--json');
  const same = await run('streams', 'update', id, file('shown.json', shown.out), '--json'); // what was shown can be sent back
  assert.equal(same.code, 0, same.err);
  assert.deepEqual({ ...JSON.parse(same.out), status: 0 }, { ...JSON.parse(shown.out), status: 0 });
  assert.equal((await run('streams', 'deactivate', id)).code, 0);
  assert.equal(JSON.parse((await run('streams', 'show', id, '--json')).out).active, false);
  assert.equal((await run('streams', 'activate', id)).code, 0);
  assert.equal((await run('streams', 'delete', id)).out, `${id} deleted, 0 undelivered\n`);
  const gone = await run('streams', 'show', id);
  assert.equal(gone.code, 1);
  assert.match(gone.err, /404/);
});

test('decimals are answered as they were given', async () => {
  const { id } = await engine.stream({ sink: 'rest', settings: { url: 'http://127.0.0.1:1/' }, parameters: { a: 0.008531, b: 5.5 }, organisation_id: 80027 });
  await engine.send([usage({ organisation: { id: 80027 } })]);
  const { text } = await engine.call('GET', `/api/v1/streams/${id}`);
  assert.match(text, /"parameters":\{"a":0\.008531,"b":5\.5\}/);
  assert.match(text, /"lag_seconds":\d+\.\d{1,3}[,}]/);
});

test('a header without a value is sent', async (t) => {
  const mine = await Receiver.start();
  t.after(() => mine.end());
  await engine.stream({ sink: 'rest', settings: { url: mine.url, headers: { 'X-Empty': '', 'X-Full': 'a' } }, organisation_id: 80026 });
  await engine.send([usage({ organisation: { id: 80026 } })]);
  await until(() => mine.requests.length, 'the record');
  const { headers } = mine.requests[0];
  assert.deepEqual([headers['x-empty'], headers['x-full']], ['', 'a']);
});

test('streams: what the engine refuses is told in its words', async () => {
  const bad = { name: 'x', organisation_id: 1, type: 'usage', sink: 'rset', settings: {} };
  const refused = await run('streams', 'create', file('bad.json', JSON.stringify(bad)));
  assert.equal(refused.code, 1);
  assert.match(refused.err, /rest/);
  const broken = await run('streams', 'create', file('broken.json', '{\n'));
  assert.equal(broken.code, 1);
  assert.match(broken.err, /broken\.json:\d+: /);
});
