// `sluice pipe` from outside: what a script makes of records, and what a sink would send of it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Engine } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { event, usage } from '../support/records.mjs';
import { run } from '../support/shell.mjs';

let folder;
before(() => { folder = mkdtempSync(join(process.env.SLUICE_TEST_FOLDER ?? tmpdir(), 'sluice-pipe-')); });
after(() => { rmSync(folder, { recursive: true }); });

function file(name, text) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const pipe = (input, ...args) => run(null, ['pipe', ...args], { input });
const lines = (...records) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const shipped = new URL('../../sinks', import.meta.url).pathname;
const set = (settings) => Object.entries(settings).flatMap(([name, value]) =>
  ['--set', `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`]);

// The requests that were printed: headers by name in lower case, and in their order.
function requestsOf(out) {
  return out.split(/^(?=POST |PUT )/m).map((text) => {
    const [head, ...body] = text.split('\n\n'), [first, ...rest] = head.split('\n');
    const pairs = rest.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
    return { first, headers: Object.fromEntries(pairs), names: pairs.map(([name]) => name), body: body.join('\n\n') };
  });
}

test("the README's script makes of the samples what the README says", async () => {
  const root = new URL('../..', import.meta.url).pathname, readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [script, shown] = ['lua', 'json'].map((kind) => readme.match(new RegExp(`\`\`\`${kind}\\n([^]*?)\`\`\``))[1]);
  const samples = join(root, 'examples/records');
  const piped = await pipe(readdirSync(samples).sort().map((name) => readFileSync(join(samples, name), 'utf8')).join(''), file('events.lua', script));
  assert.equal(piped.code, 0, piped.err);
  assert.equal(piped.out, shown);
});

test('pipe names the record that failed, the field that was nil and what to write', async () => {
  const path = file('nil.lua', 'return { api = 1, map = function(rec)\nreturn { mb = rec.detail.volume.total } end }');
  const piped = await pipe('{"id":201388127,"event_type":{"id":6},"organisation":{"id":1}}\n', path);
  assert.equal(piped.code, 1);
  assert.match(piped.err, new RegExp(`^${path}:2: rec\\.detail is nil: events of type 6 \\(User authentication failed\\) ` +
    'have no detail; use get\\(rec, "detail\\.volume\\.total"\\) \\(record 201388127, line 1\\)\n'));
});

const asIs = () => file('as_is.lua', 'return { api = 1 }');

test('with a sink, pipe prints a request as it would go out, signed over its body', async () => {
  const record = usage();
  const piped = await pipe(lines(record), asIs(), '--sinks', shipped, '--sink', 'rest',
    ...set({ url: 'https://example.com/in?a=1', method: 'PUT', signing_secret: 'a signing secret', headers: { 'X-Fleet': 'north', 'X-Empty': '' } }));
  assert.equal(piped.code, 0, piped.err);
  const [{ first, headers, body }, ...more] = requestsOf(piped.out);
  assert.deepEqual(more, []);
  assert.equal(first, 'PUT https://example.com/in?a=1');
  assert.match(headers['user-agent'], /^Sluice\/\d/);
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual([headers['x-fleet'], headers['x-empty']], ['north', '']);
  assert.equal(headers['webhook-id'], 'st_pipe-1');
  assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 60);
  assert.equal(body, lines(record));
  const signed = createHmac('sha256', 'a signing secret').update(`st_pipe-1.${headers['webhook-timestamp']}.${body.trimEnd()}`).digest('base64');
  assert.equal(headers['webhook-signature'], `v1,${signed}`);
});

test('what pipe prints is what a stream sends, header for header', async (t) => {
  const mine = await Receiver.start(), engine = await Engine.start();
  t.after(async () => { mine.end(); await engine.end(); });
  const settings = { url: mine.url, gzip: true, auth: 'basic', username: 'someone', password: 'a password', signing_secret: 's3cret', headers: { 'X-Fleet': 'north' } };
  await engine.stream({ sink: 'rest_bulk', settings });
  const record = usage();
  await engine.send([record]);
  await mine.arrived(1);
  const piped = await pipe(lines(record), asIs(), '--sinks', shipped, '--sink', 'rest_bulk', ...set(settings));
  const [shown] = requestsOf(piped.out), [sent] = mine.requests;
  const http = ['host', 'accept', 'content-length', 'connection']; // what pipe leaves out
  assert.deepEqual(shown.names.toSorted(), Object.keys(sent.headers).filter((name) => !http.includes(name)).toSorted());
  for (const name of ['user-agent', 'content-type', 'content-encoding', 'x-fleet']) assert.equal(shown.headers[name], sent.headers[name], name);
  assert.equal(shown.body.trimEnd(), sent.body);
  assert.equal(shown.headers.authorization, 'Basic ********');
});

const KEYED = `return { api = 1, name = "keyed", title = "Keyed", framing = "custom", accepts = { "usage" },
  settings = { { "url", type = "url", required = true }, { "key", type = "secret", required = true }, "headers", "auth" },
  request = function(batch, settings)
    return { url = settings.url .. "?key=" .. settings.key .. "&n=" .. batch.count,
      headers = { ["content-type"] = "text/plain", ["x-mac"] = hmac_sha256(settings.key, "x", "hex"), ["x-made"] = "v1 " .. base64("me:" .. settings.key) .. " end" },
      body = "count=" .. batch.count .. " sha=" .. sha256(settings.key) .. " and also key=" .. settings.key .. ", all there is" }
  end }`;

test('secrets, and what a sink made of them, are stars; nothing else is', async () => {
  file('keyed/keyed.lua', KEYED);
  const piped = await pipe(lines(usage()), asIs(), '--sinks', join(folder, 'keyed'), '--sink', 'keyed',
    ...set({ url: 'http://h/', key: 'quite-Secret 17', auth: 'bearer', token: 'also-secret', headers: { 'X-Api-Key': 'mine' } }));
  assert.equal(piped.code, 0, piped.err);
  const [{ first, headers, body }] = requestsOf(piped.out);
  assert.equal(first, 'POST http://h/?key=********&n=1');
  assert.deepEqual({ ...headers, 'user-agent': 0 }, { 'user-agent': 0, 'content-type': 'text/plain', 'x-mac': '********', 'x-made': 'v1 ******** end',
    'x-api-key': '********', authorization: 'Bearer ********' });
  assert.equal(body, 'count=1 sha=******** and also key=********, all there is\n');
});

test('a sink that takes no other secrets shows nothing that it made', async () => {
  file('picky/picky.lua', `return { api = 1, name = "picky", title = "Picky", framing = "custom",
    settings = { { "key", type = "secret" } },
    request = function(batch, settings)
      if settings.key ~= "this one" then error("bad key") end
      return { url = "http://h/" .. settings.key, headers = { ["X-A"] = settings.key }, body = "b " .. settings.key }
    end }`);
  const piped = await pipe(lines(usage()), asIs(), '--sinks', join(folder, 'picky'), '--sink', 'picky', '--set', 'key=this one');
  assert.equal(piped.code, 0, piped.err);
  assert.match(piped.out, /^POST \*{8}\nUser-Agent: Sluice\/\S+\nX-A: \*{8}\n\n\*{8}\n$/);
});

test('records of a kind that the sink does not take are dropped by reason, before the script', async () => {
  file('keyed/keyed.lua', KEYED);
  const failing = file('failing.lua', 'return { api = 1, filter = function(rec) return rec.volume.total > 0 end }');
  const piped = await pipe(lines(event(), usage(), event()), failing, '--sinks', join(folder, 'keyed'), '--sink', 'keyed', '--set', 'url=http://h/', '--set', 'key=kkkk');
  assert.equal(piped.code, 0, piped.err);
  assert.equal(piped.err, '1 kept, 2 dropped (sink)\n');
  assert.equal(requestsOf(piped.out).length, 1);
});

test('an alert is a record, too', async () => {
  file('alerts/slack.lua', `return { api = 1, name = "slack", title = "Slack", accepts = { "alert" }, framing = "one",
    settings = { { "url", type = "url", secret = true, required = true } },
    map = function(rec) return { text = rec.title } end,
    request = function(batch, settings) return { url = settings.url, headers = { ["content-type"] = "application/json" } } end }`);
  const alert = { id: 'a1', kind: 'alert', alert: true, title: 'Five logins', organisation: { id: 1 } };
  const piped = await pipe(lines(usage(), alert), asIs(), '--sinks', join(folder, 'alerts'), '--sink', 'slack', '--set', 'url=https://hooks.example.com/T1/b2');
  assert.equal(piped.err, '1 kept, 1 dropped (sink)\n');
  const [{ first, body }] = requestsOf(piped.out);
  assert.equal(first, 'POST https://********');
  assert.equal(body, '{"text":"Five logins"}\n');
});

test('lines that are no records are named, and the rest goes on', async () => {
  const piped = await pipe(`{"id":\n{"id":1}\n${lines(usage())}`, asIs());
  assert.equal(piped.code, 1);
  assert.match(piped.err, /^line 1: .*byte 6.*\nline 2: .*organisation\.id is missing\n1 kept, 2 no records\n$/);
});
