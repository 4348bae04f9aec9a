// The commands a person types, on a real engine, and the dictionary behind their messages.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine, TOKEN, program, until } from '../support/engine.mjs';
import * as commands from '../support/shell.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

let engine;
before(async () => { engine = await Engine.start(); });
after(async () => { await engine.end(); });

const start = (...args) => commands.start(engine, args);
const run = (...args) => commands.run(engine, args);

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

test('version: as an option, and as JSON', async () => {
  const { out } = await run('version');
  assert.equal((await run('--version')).out, out);
  assert.equal(`sluice ${JSON.parse((await run('version', '--json')).out).version}\n`, out);
});

test('commands that are not there are told apart from slips, which get a suggestion', async () => {
  for (const name of ['users', 'tokens'])
    assert.deepEqual(await run(name), { code: 2, out: '', err: `\`sluice ${name}\` is not in this version\n` });
  assert.deepEqual(await run('recieve'), { code: 2, out: '', err: "sluice: unknown command 'recieve': did you mean 'receive'?\ntry `sluice -h`\n" });
  assert.match((await run('xyzzy')).err, /^sluice: unknown command 'xyzzy'\n/);
});

test('help COMMAND is the help of that command', async () => {
  assert.equal((await run('help', 'send')).out, (await run('send', '-h')).out);
  assert.equal((await run('help')).out, (await run('-h')).out);
  assert.equal((await run('help', 'users')).code, 2);
});

test('check and run find the same mistakes in a configuration, by file and line', async () => {
  for (const [line, words] of [
    ["listen = '127.0.0.1'", 'listen must be HOST:PORT'], ["listen = 'nohost:99999'", 'listen: the port must be'],
    ["isolation = 'tenant'", 'isolation must be "shared" or "organisation"'], ["tls = { certificate = 'c', key = 'k' }", 'tls is not in this version'],
    ["sinks = '/nowhere'", 'sinks: there is no folder "/nowhere"'], ["scripts = '/nowhere'", 'scripts: there is no folder "/nowhere"'],
    ["[1] = 'a'", 'a value without a name in the table'],
  ]) {
    const path = file('wrong.lua', `return {\n  ${line}\n}\n`);
    for (const command of ['check', 'run']) {
      const { code, err } = await run(command, '-c', path);
      assert.equal(code, 2, `${command} ${line}`);
      assert.ok(err.startsWith(`${path}:2: ${words}`), err);
    }
  }
});

test('a store that is damaged is refused with what to do', async () => {
  const own = new Engine(), store = join(own.config.data, 'store');
  mkdirSync(store, { recursive: true });
  writeFileSync(join(store, 'data.mdb'), 'no database'.padEnd(8192, '.'));
  await assert.rejects(own.start(), /data\.mdb is damaged \(MDB_INVALID.*move .*store away/);
  await own.end();
});

test('wrong usage says what is wrong', async () => {
  for (const [words, ...args] of [
    ["run: unexpected argument 'extra'", 'run', 'extra'], ["receive: unexpected argument 'extra'", 'receive', 'extra'],
    ["version: unexpected argument 'extra'", 'version', 'extra'], ["top: unexpected argument 'extra'", 'top', 'extra'], ["send: unexpected argument 'extra'", 'send', '-', 'extra'],
    ['send: FILE is missing (- reads stdin)', 'send'], ["--batch must be a whole number from 1 to 10000, not 'x'", 'send', '-', '--batch', 'x'],
    ['streams show: ID is missing', 'streams', 'show'], ['streams update: FILE.json is missing', 'streams', 'update', 'st_1'],
    ["streams list: unexpected argument 'x'", 'streams', 'list', 'x'], ["streams has no 'lst': did you mean 'list'?", 'streams', 'lst'],
  ]) assert.deepEqual(await run(...args), { code: 2, out: '', err: `${words}\ntry \`sluice ${args[0]} -h\`\n` });
});

test('wrong usage is exit code 2, and help is 0', async () => {
  for (const command of ['send', 'receive', 'streams', 'sinks', 'dead', 'top', 'version']) {
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
  const missing = await run('send', '/nonexistent');
  assert.deepEqual(missing, { code: 1, out: '', err: 'send /nonexistent: cannot open: No such file or directory\n' });
});

test('send takes an array, and objects over several lines, as the records they are', async () => {
  const records = many(7, () => usage()), [one, ...more] = records;
  assert.equal((await run('send', file('pretty.json', JSON.stringify(one, null, 2)))).out, 'sent 1 accepted 1 duplicates 0 rejected 0\n');
  assert.equal((await run('send', file('objects.json', records.map((r) => JSON.stringify(r, null, 2)).join('\n')))).out, 'sent 7 accepted 6 duplicates 1 rejected 0\n');
  const array = await run('send', file('array.json', `\n ${JSON.stringify([...more, { id: 1 }, usage()], null, 1)}`), '--batch', '4');
  assert.equal(array.out, 'sent 8 accepted 1 duplicates 6 rejected 1\n');
  assert.match(array.err, /^record 7: /);
  const broken = await run('send', file('broken.json', '[{"id":1},\n{"id":]'));
  assert.equal(broken.code, 1);
  assert.match(broken.err, /broken\.json: byte 17: /);
  const cut = await run('send', file('cut.ndjson', `{"id":\n${JSON.stringify(usage())}`));
  assert.equal(cut.out, 'sent 2 accepted 1 duplicates 0 rejected 1\n');
  assert.match(cut.err, /^line 1: /);
});

test('send says of a packed file that it must be unpacked', async () => {
  const packed = await run('send', file('some.ndjson.gz', gzipSync('{}')));
  assert.equal(packed.code, 1);
  assert.match(packed.err, /packed by gzip: unpack it first/);
});

test('send gives up an engine that takes nothing, in its words', async () => {
  const busy = createServer((request, response) => {
    request.resume();
    response.writeHead(503, { 'Content-Type': 'application/problem+json' }).end('{"detail":"the disk is full"}');
  }).listen(0, '127.0.0.1');
  await once(busy, 'listening');
  const sent = await run('send', file('busy.ndjson', '{"id":1}'), '--wait', '1', '--url', `http://127.0.0.1:${busy.address().port}`);
  busy.close();
  assert.equal(sent.code, 1);
  assert.match(sent.err, /^the engine says: the disk is full \(HTTP 503\); trying again in 1 s\n(.*\n)*send .*: the disk is full \(HTTP 503\)\n$/);
});

test('a stop says that it drains and how much; a second signal ends it', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1'); // never answers
  await once(silent, 'listening');
  const own = await Engine.start();
  await own.stream({ sink: 'rest', settings: { url: `http://127.0.0.1:${silent.address().port}/` } });
  const asked = once(silent, 'request');
  await own.send([usage()]);
  await asked;
  own.child.kill('SIGTERM');
  await until(() => /doing=drain requests=1 reason="draining, at most 10 s: 1 request under way"/.test(own.log), 'the drain');
  const before = Date.now();
  assert.equal(await new Promise((go) => { own.ended.then(([code]) => go(code)); own.child.kill('SIGTERM'); }), 0);
  assert.ok(Date.now() - before < 5000);
  assert.match(own.log, /cut short by a second signal/);
  await own.end();
  silent.closeAllConnections();
  silent.close();
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

test('receive prints a request whole, even when it brings more than --count', async () => {
  const r = await receiver('--count', '2');
  assert.equal(await r.post('[{"a":1},{"a":2},{"a":3}]'), 200);
  assert.deepEqual(await r.ended, [0, null]);
  assert.equal(r.out, '{"a":1}\n{"a":2}\n{"a":3}\n');
});

test('receive takes nothing more once --count is reached, while its last answer is under way', async () => {
  const r = await receiver('--count', '1', '--slow', '20'); // so its answer takes seconds
  const { hostname, port } = new URL(r.url);
  const ask = async (body) => {
    const socket = connect(Number(port), hostname);
    socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const [begun] = await once(socket.setEncoding('utf8'), 'data');
    return { socket, begun };
  };
  const first = await ask('{"a":1}'), second = await ask('{"a":2}');
  assert.match(first.begun, /^HTTP\/1\.1 200/);
  assert.match(second.begun, /^HTTP\/1\.1 503/); // or its sender would take for delivered what is not printed
  r.child.kill('SIGTERM');
  assert.deepEqual(await r.ended, [0, null]);
  first.socket.destroy();
  second.socket.destroy();
  assert.equal(r.out, '{"a":1}\n');
  assert.match(r.err, /received 1 records in 2 requests \(0 failed on purpose, 1 refused\)/);
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

const mistaken = `local M = { api = 1 }
M.match = { event_type = { "User authentication failed" } }
function M.filter(rec) count = rec.evnt_type.id return time.isoo(1) end
return M
`;

test('check warns of what compiles and is wrong all the same, and still ends with 0', async () => {
  const path = file('mistaken.lua', mistaken);
  const checked = await run('check', path);
  assert.equal(checked.code, 0);
  assert.equal(checked.out, `ok  ${path}\n`);
  assert.equal(checked.err, [
    `${path}:3: warning: global 'count' is assigned, which fails when it runs: use local`,
    `${path}:3: warning: rec.evnt_type.id: no record has such a field; did you mean 'event_type.id'?`,
    `${path}:3: warning: time.isoo is not known; did you mean time.iso?`, ''].join('\n'));
});

test('check --json says the same as data, and an error is exit code 1', async () => {
  const good = file('mistaken.lua', mistaken);
  const bad = file('broken.lua', '\nlocal x = = 1\n');
  const unnamed = file('unnamed.lua', 'return { api = 1, match = { event_type = { "Delete PDP" } } }');
  const checked = await run('check', '--json', good, bad, unnamed, '/nonexistent.lua');
  assert.equal(checked.code, 1);
  assert.equal(checked.err, '');
  const [first, second, third, fourth] = JSON.parse(checked.out);
  assert.equal(first.file, good);
  assert.equal(first.ok, true);
  assert.deepEqual(first.errors, []);
  assert.deepEqual(first.warnings.map((w) => w.line), [3, 3, 3]);
  assert.match(first.warnings[2].message, /did you mean time\.iso\?/);
  assert.deepEqual(second, { file: bad, ok: false, warnings: [],
    errors: [{ line: 2, message: "unexpected symbol near '='" }] });
  assert.equal(third.ok, false);
  assert.match(third.errors[0].message, /did you mean 'Delete PDP Context'\?/);
  assert.equal(fourth.ok, false);
  assert.match(fourth.errors[0].message, /No such file/);
});

test('check says so where there is nothing to check', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const there = (...args) => commands.run(null, ['check', ...args], { cwd: folder });
  assert.deepEqual(await there(), { code: 0, err: '', out: 'nothing to check here: no sluice.lua, no scripts/*.lua, no sinks/*.lua\n' });
  assert.deepEqual(await there('--json'), { code: 0, err: '', out: '[]\n' });
  mkdirSync(join(folder, 'scripts'));
  writeFileSync(join(folder, 'scripts', 'one.lua'), 'return { api = 1 }');
  assert.equal((await there()).out, 'ok  scripts/one.lua\n');
});

test('check looks through the folders of the configuration; the sinks it ships have no warning', async () => {
  const checked = await run('check', '-c', join(engine.folder, 'sluice.lua'));
  assert.match(checked.out, /rest_bulk\.lua/);
  assert.equal(checked.err, '');
  assert.equal(checked.code, 0);
});

test('GET /api/v1/fields is the dictionary', async () => {
  const answer = await fetch(`${engine.url}/api/v1/fields`, { headers: { Authorization: `Bearer ${TOKEN}` } });
  assert.equal(answer.status, 200);
  const { fields, event_types: types, event_severities: severities } = await answer.json();
  assert.deepEqual(fields.find((f) => f.path === 'detail.volume.total'),
    { path: 'detail.volume.total', type: 'number', meaning: 'Total volume in MB', kinds: ['event'], event_types: [3, 4, 5] });
  assert.deepEqual(fields.filter((f) => f.path === 'imsi').map((f) => [f.type, f.kinds]),
    [['object', ['event']], ['string', ['usage']]]);
  assert.equal(fields.find((f) => f.path === 'cost').event_types, undefined);
  assert.equal(types.length, 16);
  assert.equal(types[6].name, 'User authentication failed');
  assert.deepEqual(severities[0], { id: 0, name: 'Info' });
  assert.equal((await fetch(`${engine.url}/api/v1/fields`)).status, 401);
});

const matches = {
  integer: Number.isInteger, number: (v) => typeof v === 'number', string: (v) => typeof v === 'string',
  timestamp: (v) => !Number.isNaN(Date.parse(v)), boolean: (v) => typeof v === 'boolean',
  list: Array.isArray, object: (v) => typeof v === 'object' && !Array.isArray(v),
};

test('the dictionary has every field of the example records, for its kind and event type', async () => {
  const answer = await fetch(`${engine.url}/api/v1/fields`, { headers: { Authorization: `Bearer ${TOKEN}` } });
  const { fields } = await answer.json();
  const check = (value, path, kind, type) => {
    if (path) {
      const field = fields.find((f) => f.path === path && f.kinds.includes(kind));
      assert.ok(field, `${path} of ${kind}`);
      assert.ok(value === null || matches[field.type](value), `${path}: ${value} is no ${field.type}`);
      if (kind === 'event' && field.event_types) assert.ok(field.event_types.includes(type), `${path} in events of type ${type}`);
    }
    if (Array.isArray(value)) for (const one of value) check(one, `${path}[]`, kind, type);
    else if (value && typeof value === 'object')
      for (const [key, inner] of Object.entries(value)) check(inner, path ? `${path}.${key}` : key, kind, type);
  };
  for (const kind of ['events', 'usage']) {
    const lines = readFileSync(new URL(`../../examples/records/${kind}.ndjson`, import.meta.url), 'utf8').trim().split('\n');
    assert.ok(lines.length > 10);
    for (const record of lines.map(JSON.parse)) check(record, '', kind === 'events' ? 'event' : 'usage', record.event_type?.id);
  }
});

test('a source that crashes the compiler ends neither check nor pipe without words', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  const crash = join(folder, 'crash.lua'), fine = join(folder, 'fine.lua');
  writeFileSync(crash, 'local _\nfor _ in (nil):foo() do end\n');
  writeFileSync(fine, 'return { api = 1 }\n');
  const checked = spawnSync(program, ['check', fine, crash, fine], { encoding: 'utf8' });
  assert.equal(checked.status, 1);
  assert.match(checked.stderr, /crash\.lua: it crashed the compiler/);
  assert.equal(checked.stdout.match(/^ok /gm).length, 2);
  const piped = spawnSync(program, ['pipe', crash], { encoding: 'utf8', input: '' });
  assert.ok(piped.status > 0);
  assert.match(piped.stderr, /crash\.lua: it crashed the compiler/);
});

test('check tells a sink by its folder, and what is wrong with it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
  mkdirSync(join(folder, 'sinks'));
  const file = join(folder, 'sinks', 'x.lua');
  writeFileSync(file, 'return { api = 1, name = "x", titel = "X" }\n');
  const checked = spawnSync(program, ['check', file], { encoding: 'utf8' });
  assert.equal(checked.status, 1);
  assert.match(checked.stderr, /did you mean "title"/);
});
