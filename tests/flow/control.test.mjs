// The commands on what an engine keeps, `sluice streams|sinks|dead|top`, on a real engine and on answers that one would not give.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, TOKEN, program, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';
import * as commands from '../support/shell.mjs';

let engine;
before(async () => { engine = await Engine.start(); });
after(async () => { await engine.end(); });

const run = (...args) => commands.run(engine, args);

function file(name, text) {
  const path = join(engine.folder, name);
  writeFileSync(path, text);
  return path;
}

// An engine that answers as told: answer(path) -> value to be sent as JSON.
async function pretender(t, answer) {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer(request.url)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.closeAllConnections(); server.close(); });
  const url = `http://127.0.0.1:${server.address().port}`;
  return { asked, url, run: (...args) => commands.run({ url }, args) };
}

test('streams: created, listed, shown, changed, switched off and on, deleted', async () => {
  const settings = { url: 'http://127.0.0.1:1/' };
  const definition = { name: 'from the shell', organisation_id: 80025, type: 'usage', sink: 'rest', settings };
  const created = await run('streams', 'create', file('stream.json', JSON.stringify(definition)), '--json');
  assert.equal(created.code, 0, created.err);
  const { id } = JSON.parse(created.out);
  const list = await run('streams', 'list');
  assert.match(list.out, /^ID +NAME +ORGANISATION/);
  assert.match(list.out, new RegExp(`^${id} +from the shell +80025 +usage +rest `, 'm'));
  assert.equal(JSON.parse((await run('streams', 'list', '--json')).out).items[0].id, id);
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

test('streams: what the engine refuses is told in its words', async () => {
  const bad = { name: 'x', organisation_id: 1, type: 'usage', sink: 'rset', settings: {} };
  const refused = await run('streams', 'create', file('bad.json', JSON.stringify(bad)));
  assert.equal(refused.code, 1);
  assert.match(refused.err, /rest/);
  const broken = await run('streams', 'create', file('broken.json', '{\n'));
  assert.equal(broken.code, 1);
  assert.match(broken.err, /broken\.json:\d+: /);
});

test('lists follow the pages: one table, or one object with all items', async (t) => {
  const item = (id) => ({ id, name: `name of ${id}`, organisation_id: null, type: 'usage', sink: 'rest', status: { state: 'live', delivered: 3, lag_records: 0, last_error: 'a\u001b[31m\nb' } });
  const fake = await pretender(t, (url) => (url.endsWith('after=st_2') ? { items: [item('st_3')], next: null } : { items: [item('st_1'), item('st_2')], next: 'st_2' }));
  const listed = await fake.run('streams', 'list', '--json');
  assert.equal(listed.code, 0, listed.err);
  assert.deepEqual(JSON.parse(listed.out), { items: ['st_1', 'st_2', 'st_3'].map(item), next: null });
  assert.deepEqual(fake.asked, ['/api/v1/streams?limit=1000', '/api/v1/streams?limit=1000&after=st_2']);
  const lines = (await fake.run('streams', 'list')).out.split('\n');
  assert.equal(lines.length, 5);
  assert.match(lines[3], /^st_3 +name of st_3 +- +usage +rest +live +3 +0 +a \[31m b$/); // nothing that a terminal would obey
});

test('a list of nothing is an empty one', async (t) => {
  const fake = await pretender(t, () => ({ items: [], next: null }));
  assert.deepEqual(JSON.parse((await fake.run('streams', 'list', '--json')).out), { items: [], next: null });
  assert.match((await fake.run('streams', 'list')).out, /^ID .*\n$/);
});

test('answers that are no list, or never end, are told', async (t) => {
  const odd = await pretender(t, () => ({ hello: 'there' }));
  assert.deepEqual(await odd.run('sinks', 'list'), { code: 1, out: '', err: 'sinks list: the answer is not a list; is this a sluice engine?\n' });
  const endless = await pretender(t, () => ({ items: [], next: 'st_1' }));
  const listed = await endless.run('streams', 'list');
  assert.equal(listed.code, 1);
  assert.match(listed.err, /does not go on behind its first pages/);
  assert.equal(endless.asked.length, 2);
});

test('sinks: listed, and shown with their settings', async () => {
  const list = await run('sinks', 'list');
  assert.match(list.out, /^NAME +TITLE +ACCEPTS +VERSION\n/);
  assert.match(list.out, /^rest_bulk +REST endpoint, many records a request +event usage alert +[0-9a-f]{12}$/m);
  assert.ok(JSON.parse((await run('sinks', 'list', '--json')).out).items.some((sink) => sink.name === 'rest'));
  const shown = await run('sinks', 'show', 'rest_bulk');
  assert.match(shown.out, /^rest_bulk: REST endpoint, many records a request\n\nSETTING +TYPE +REQUIRED +DEFAULT +MEANING\n/);
  assert.match(shown.out, /^url +url +yes +- +URL$/m);
  assert.match(shown.out, /^max_records +integer +no +3000 +Records a request, at most$/m);
  assert.match(shown.out, /^token +secret +with auth = bearer +- +Bearer token$/m);
  assert.equal(JSON.parse((await run('sinks', 'show', 'rest', '--json')).out).name, 'rest');
  assert.deepEqual(await run('sinks', 'show', 'rset'), { code: 1, out: '', err: "sinks show: there is no sink 'rset'; did you mean 'rest'?\n" });
});

test('dead: letters are listed with what was wrong, and as they are as JSON', async (t) => {
  const mine = await Receiver.start(() => ({ status: 422, body: 'no such thing' }));
  t.after(() => mine.end());
  const { id } = await engine.stream({ sink: 'rest', settings: { url: mine.url }, organisation_id: 80031,
    script: 'return { api = 1, map = function(rec)\n  if rec.cost > 1 then return rec.none.there end\n  return rec\nend }' });
  const [refused, failing] = [usage({ organisation: { id: 80031 } }), usage({ organisation: { id: 80031 }, cost: 2, huge: 1 })];
  await engine.call('POST', '/api/v1/records', `${JSON.stringify(refused)}\n${JSON.stringify(failing).replace('"huge":1', '"huge":123456789012345678901234567890.50')}`, { 'Content-Type': 'application/x-ndjson' });
  await until(async () => (await engine.deadLetters(id)).length === 2, 'the dead letters');
  const list = await run('dead', 'list', id);
  assert.match(list.out, /^RECORD +KIND +REASON +LINE +STATUS +ATTEMPTS +AT\n/);
  assert.match(list.out, new RegExp(`^${refused.id} +usage +HTTP status 422 +- +422 +1 +20\\d\\d-`, 'm'));
  assert.match(list.out, new RegExp(`^${failing.id} +usage +rec\\.none is nil.* +2 +- +- +20\\d\\d-`, 'm'));
  const letters = await run('dead', 'list', id, '--json');
  assert.equal(JSON.parse(letters.out).items.length, 2);
  assert.match(letters.out, /"huge":123456789012345678901234567890\.50/); // every digit
  assert.match((await run('dead', 'list', 'st_none')).err, /there is no stream 'st_none'/);
  assert.equal((await run('dead', 'list', '../x')).err, "dead list: '../x' is no stream id\n");
});

test('verbs that are not there yet are told apart from slips', async () => {
  for (const words of [['dead', 'redrive'], ['dead', 'drop']])
    assert.deepEqual(await run(...words, 'st_1'), { code: 2, out: '', err: `\`sluice ${words.join(' ')}\` is not in this version\n` });
  assert.deepEqual(await run('dead', 'lits', 'st_1'), { code: 2, out: '', err: "dead has no 'lits': did you mean 'list'?\ntry `sluice dead -h`\n" });
  assert.deepEqual(await run('sinks'), { code: 2, out: '', err: 'sinks: what to do? (list, show ...)\ntry `sluice sinks -h`\n' });
});

test('top prints one table of rates where there is no terminal', async (t) => {
  let delivered = 1000;
  const status = () => ({ state: 'live', delivered: (delivered += 500), filtered: 7, dead: 2, retries: 3, lag_records: 44 });
  const fake = await pretender(t, () => ({ items: [{ id: 'st_1', name: 'Fleet', sink: 'rest', status: status() }], next: null }));
  const top = await fake.run('top');
  assert.equal(top.code, 0, top.err);
  assert.match(top.out, /^NAME +SINK +STATE +DELIVERED\/S +FILTERED\/S +DEAD +RETRIES +LAG\nFleet +rest +live +[1-9]\d* +0 +2 +3 +44\n$/);
  const [item] = JSON.parse((await fake.run('top', '--json')).out).items;
  assert.ok(item.delivered_per_second > 0 && item.delivered_per_second <= 500, item.delivered_per_second); // a second, or more on a busy machine
  assert.deepEqual({ ...item, delivered_per_second: 0 },
    { id: 'st_1', name: 'Fleet', sink: 'rest', state: 'live', delivered_per_second: 0, filtered_per_second: 0, dead: 2, retries: 3, lag_records: 44 });
});

test('top on an engine shows its streams', async () => {
  const { id } = await engine.stream({ name: 'topped', sink: 'rest', settings: { url: 'http://127.0.0.1:1/' } });
  assert.match((await run('top', '--once')).out, /^topped +rest +/m);
  assert.equal((await engine.call('DELETE', `/api/v1/streams/${id}`)).status, 200);
});

test('top draws over the last table on a terminal, within its size, until the engine is gone', async (t) => {
  let asked = 0;
  const server = createServer((request, response) => {
    if (++asked > 3) return request.socket.destroy();
    const items = many(30, (i) => ({ id: `st_${i}`, name: `name ${i}`, sink: 'rest', status: { state: 'live', delivered: i * asked } }));
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ items, next: null }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.closeAllConnections(); server.close(); });
  const url = `http://127.0.0.1:${server.address().port}`;
  const child = spawn('script', ['-qec', `stty rows 10 cols 40; exec '${program}' top --url ${url}`, '/dev/null'], { env: { ...process.env, SLUICE_TOKEN: TOKEN } });
  let out = '';
  child.stdout.on('data', (text) => { out += text; });
  const [code] = await once(child, 'close');
  assert.equal(code, 1);
  const [, ...frames] = out.split('\x1b[H');
  assert.equal(frames.length, 3);
  const lines = frames[1].split('\x1b[J')[0].trimEnd().split('\r\n').map((line) => line.replace(/\x1b\[\d*[mK]/g, ''));
  assert.equal(lines.length, 9);
  assert.ok(lines.every((line) => line.length <= 40), lines.join('\n'));
  assert.match(lines[0], /^NAME +SINK +STATE/);
  assert.match(lines[7], /^name 6 /);
  assert.equal(lines[8], 'and 23 more');
  assert.match(frames[2], /top: http/);
});
