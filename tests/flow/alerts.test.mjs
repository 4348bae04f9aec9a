// Alerts: raised by a stream's script, kept in the journal as records, delivered by streams of type alerts, listed by the API; each
// once, also when the engine is killed in the middle.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { event, usage, many } from '../support/records.mjs';

const FAILED_LOGINS = `
local M = { api = 1 }
M.match = { kind = { "event" }, event_type = { 6 } }
function M.alert(rec)
  return { key = "login:" .. rec.user.id, title = "a login failed", severity = "critical", for_s = 60 }
end
function M.filter(rec) return false, "only looked at" end
return M`;

const EACH = `
local M = { api = 1 }
function M.alert(rec) return { key = rec.id, title = "record " .. rec.id, for_s = 0 } end
return M`;
const EACH_ALONE = EACH.replace('return M', 'function M.filter() return false end\nreturn M');

const FAILED_LOGINS_COUNTED = `
local M = { api = 1 }
M.match = { kind = { "event" }, event_type = { 6 } }
function M.alert(rec, ctx)
  if ctx.count("login:" .. rec.user.id, "10m") == 5 then
    return { key = "login:" .. rec.user.id, title = "5 failed logins in 10 minutes", severity = "critical" }
  end
end
function M.filter(rec) return false, "only counted" end
return M`;

const failedLogin = (user, second) => event({
  event_type: { id: 6, description: 'User authentication failed' }, user: { id: user },
  timestamp: new Date(Date.UTC(2026, 10, 20, 8, 0, second)).toISOString(),
});

async function open(t, config) {
  const engine = await Engine.start(config), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  return { engine, receiver, watch: (fields = {}) => engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, type: 'alerts', ...fields }) };
}

const list = async (engine, query = '') => {
  const answer = await engine.call('GET', `/api/v1/alerts${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};

async function listAll(engine, query = '') { // page by page
  const items = [];
  for (let next = '', page; next !== null; next = page.next) {
    page = await list(engine, `?limit=7${query}${next ? `&after=${next}` : ''}`);
    assert.ok(page.items.length <= 7);
    items.push(...page.items);
  }
  return items;
}

test('failed logins raise one alert while it lasts, delivered and listed', async (t) => {
  const { engine, receiver, watch } = await open(t);
  const quiet = await Receiver.start();
  t.after(() => quiet.end());
  const looks = await engine.stream({ sink: 'rest', settings: { url: quiet.url }, script: FAILED_LOGINS, organisation_id: 80025 });
  const alerts = await watch({ organisation_id: 80025 });
  const sent = many(8, (i) => failedLogin(7, i));
  await engine.send([usage(), ...sent]);
  const [alert] = await receiver.arrived(1);
  const { id, ...rest } = alert;
  assert.ok(Number.isSafeInteger(id) && id > 0);
  assert.deepEqual(rest, {
    kind: 'alert', alert: true, timestamp: '2026-11-20T08:00:00.000Z', key: 'login:7', title: 'a login failed',
    severity: 'critical', organisation: { id: 80025, name: 'WBV Tester' }, stream_id: looks.id, script: looks.status.script_version,
    record: { kind: 'event', id: sent[0].id }, endpoint: sent[0].endpoint,
  });
  assert.deepEqual(await list(engine, '?limit=10'), { items: [alert], next: null });
  await until(async () => (await engine.status(looks.id)).lag_records === 0, 'what was looked at to settle');
  await until(async () => (await engine.status(alerts.id)).lag_records === 0, 'the alert to be settled');
  const status = await engine.status(alerts.id);
  assert.equal(status.delivered, 1);
  assert.equal(status.state, 'live');
  assert.equal(receiver.records.length, 1);
  assert.equal(quiet.records.length, 0);
  const later = failedLogin(7, 60); // a minute after the first, and not before
  await engine.send([failedLogin(7, 59), later]);
  assert.equal((await receiver.arrived(2))[1].record.id, later.id);
  const metrics = (await engine.call('GET', '/metrics')).text;
  assert.match(metrics, /sluice_records_ingested_total\{kind="alert"\} 2\n/);
  assert.ok(metrics.includes(`sluice_stream_alerts_total{stream="${looks.id}"} 2\n`));
});

test('a kill in the middle loses no alert and doubles none', { timeout: 120000 }, async (t) => {
  const { engine, receiver, watch } = await open(t);
  await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: EACH_ALONE });
  await watch();
  const sent = [];
  for (let round = 0; round < 4; round++) {
    const batch = many(400, () => event());
    sent.push(...batch.map((r) => r.id));
    await engine.send(batch);
    await receiver.arrived(round * 400 + 50); // somewhere in between
    await engine.kill();
    await engine.start();
  }
  await until(() => new Set(receiver.records.map((a) => a.record.id)).size === sent.length, 'an alert of each record');
  assert.ok(receiver.records.every((a) => a.kind === 'alert'));
  const listed = await listAll(engine);
  assert.deepEqual(listed.map((a) => a.record.id).sort((a, b) => a - b), [...sent].sort((a, b) => a - b));
  assert.equal(new Set(listed.map((a) => a.id)).size, sent.length);
  const byRecord = new Map(listed.map((a) => [a.record.id, a.id])); // what was delivered, even twice, is what is kept
  for (const a of receiver.records) assert.equal(a.id, byRecord.get(a.record.id));
});

test('a count goes on after a kill: the fifth failed login still raises one alert', { timeout: 60000 }, async (t) => {
  const { engine, receiver, watch } = await open(t);
  const counts = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: FAILED_LOGINS_COUNTED });
  await watch();
  const logins = many(8, (i) => failedLogin(7, i));
  for (const login of logins) {
    await engine.send([login]);
    await until(async () => (await engine.status(counts.id)).filtered > 0, 'a login to be counted');
    await engine.kill();
    await engine.start();
  }
  await receiver.arrived(1);
  await until(async () => (await engine.status(counts.id)).lag_records === 0, 'all to be settled');
  const listed = await listAll(engine);
  assert.deepEqual(listed.map((a) => [a.key, a.record.id]), [['login:7', logins[4].id]]);
});

test('an organisation has its own alerts, and none of an operator\'s stream', async (t) => {
  const { engine, receiver, watch } = await open(t);
  const quiet = await Receiver.start(), all = await Receiver.start();
  t.after(() => { quiet.end(); all.end(); });
  await watch({ organisation_id: 1 });
  await watch({ settings: { url: all.url } });
  const make = (organisation_id, title) => engine.stream({ sink: 'rest_bulk', settings: { url: quiet.url }, organisation_id,
    script: EACH.replace('"record "', `"${title} "`) });
  const own = await make(1, 'own');
  const other = await make(2, 'other');
  const operators = await make(null, 'operator');
  await engine.send([1, 2].flatMap((id) => many(3, () => event({ organisation: { id, name: `org ${id}` } }))));
  await all.arrived(12); // three of each, and six of the operator's
  await receiver.arrived(3);
  assert.ok(receiver.records.every((a) => a.stream_id === own.id && a.title.startsWith('own ')));
  const ids = (items) => items.map((a) => a.id).sort((a, b) => a - b);
  assert.deepEqual(ids(await listAll(engine)), ids(all.records));
  assert.deepEqual(ids(await listAll(engine, '&organisation_id=1')), ids(receiver.records));
  assert.deepEqual((await listAll(engine, '&organisation_id=2')).map((a) => a.stream_id), Array(3).fill(other.id));
  assert.deepEqual((await listAll(engine, `&stream=${operators.id}`)).map((a) => a.organisation.id).sort(), [1, 1, 1, 2, 2, 2]);
  assert.deepEqual(await listAll(engine, '&organisation_id=3'), []);
  await until(async () => (await engine.status(own.id)).lag_records === 0, 'all to be settled');
  assert.equal(receiver.records.length, 3);
});

test('the list is newest first, page by page, and refuses what it can\'t understand', async (t) => {
  const { engine, receiver, watch } = await open(t);
  assert.deepEqual(await list(engine), { items: [], next: null });
  const quiet = await Receiver.start();
  t.after(() => quiet.end());
  await watch();
  await engine.stream({ sink: 'rest_bulk', settings: { url: quiet.url }, script: EACH });
  const sent = [];
  for (let i = 0; i < 5; i++) {
    const batch = many(10, () => event({ endpoint: { id: 5 } }));
    sent.push(...batch);
    await engine.send(batch);
    await receiver.arrived(sent.length);
  }
  const newestFirst = sent.map((r) => r.id).reverse();
  assert.deepEqual((await listAll(engine)).map((a) => a.record.id), newestFirst);
  await engine.stop();
  await engine.start();
  assert.deepEqual((await listAll(engine)).map((a) => a.record.id), newestFirst); // from disk
  for (const [query, words] of [['?after=x', /after/], ['?after=-1', /after/], ['?organisation_id=', /organisation_id/],
    ['?organisation_id=5x', /organisation_id/], ['?limit=0', /limit/], ['?stream=', /stream/], [`?stream=${'s'.repeat(50)}`, /stream/]]) {
    const answer = await engine.call('GET', `/api/v1/alerts${query}`);
    assert.equal(answer.status, 400, query);
    assert.match(answer.json.detail, words);
  }
  assert.equal((await engine.call('GET', '/api/v1/alerts', undefined, { Authorization: 'Bearer x' })).status, 401);
  assert.equal((await engine.call('POST', '/api/v1/alerts', {})).status, 405);
});

test('a call looks at so many blocks only, and the next one goes on from there', async (t) => {
  const { engine, receiver, watch } = await open(t);
  const quiet = await Receiver.start(); // one that is not there would hold up the alerts as well
  t.after(() => quiet.end());
  await watch();
  const first = event();
  const rare = await engine.stream({ sink: 'rest_bulk', settings: { url: quiet.url },
    script: EACH.replace('return {', `return rec.id == ${first.id} and {`) });
  await engine.stream({ sink: 'rest_bulk', settings: { url: quiet.url }, script: EACH });
  await engine.send([first]);
  await receiver.arrived(2);
  for (let i = 0; i < 80; i++) { // a block each
    await engine.send([event()]);
    await receiver.arrived(3 + i);
  }
  const page = await list(engine, `?stream=${rare.id}`);
  assert.deepEqual(page.items, []);
  assert.match(page.next, /^\d+$/);
  assert.deepEqual((await listAll(engine, `&stream=${rare.id}`)).map((a) => a.record.id), [first.id]);
});

test('scripts of a stream of alerts see alerts, and raise none', async (t) => {
  const { engine, receiver, watch } = await open(t);
  const quiet = await Receiver.start();
  t.after(() => quiet.end());
  const made = await watch({ script: `
local M = { api = 1 }
M.match = { kind = { "alert" } }
function M.alert(rec) return { key = "loop" } end
function M.map(rec, ctx) return { what = ctx.kind, now = ctx.now, key = rec.key, of = rec.record.id } end
return M` });
  await engine.stream({ sink: 'rest_bulk', settings: { url: quiet.url }, script: EACH });
  const record = event({ timestamp: '2026-11-20T08:00:01.500+0000' });
  await engine.send([record]);
  assert.deepEqual(await receiver.arrived(1), [{ what: 'alert', now: Date.UTC(2026, 10, 20, 8, 0, 1, 500), key: String(record.id), of: record.id }]);
  await until(async () => (await engine.status(made.id)).lag_records === 0, 'the alert to be settled');
  assert.equal((await listAll(engine)).length, 1);
});

test('a failing hook is counted and logged, and the record goes on', async (t) => {
  const { engine, receiver } = await open(t);
  const { id } = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url },
    script: 'local M = { api = 1 }\nfunction M.alert(rec) return { titel = "x" } end\nreturn M' });
  await engine.send(many(20, () => event()));
  await receiver.arrived(20);
  assert.deepEqual(await listAll(engine), []);
  assert.ok((await engine.call('GET', '/metrics')).text.includes(`sluice_stream_alert_failures_total{stream="${id}"} 20\n`));
  assert.match(engine.log, new RegExp(`stream=${id} record=\\d+ doing=alert line=\\d+ error=".*did you mean 'title'`));
  assert.equal((await engine.status(id)).dead, 0);
});

test('an alert can\'t be made up from outside', async (t) => {
  const { engine, receiver, watch } = await open(t);
  await watch();
  const madeUp = { id: 1, kind: 'alert', alert: true, key: 'k', title: 't', organisation: { id: 80025 }, stream_id: 'st_x' };
  const answer = await engine.send([madeUp, event({ kind: 'alert', alert: true }), usage({ kind: 'alert' })]);
  assert.equal(answer.accepted, 2); // an event and a usage record, whatever they call themselves
  assert.equal(answer.rejected.length, 1);
  assert.match(answer.rejected[0].error, /neither an event/);
  assert.deepEqual(await listAll(engine), []);
  assert.equal(receiver.records.length, 0);
});

test('a sink that takes only alerts goes with streams of alerts alone', async (t) => {
  const engine = new Engine(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  cpSync(engine.config.sinks, join(engine.folder, 'sinks'), { recursive: true });
  engine.config.sinks = join(engine.folder, 'sinks');
  writeFileSync(join(engine.config.sinks, 'chat.lua'), `
local S = { api = 1, name = "chat", title = "Chat", accepts = { "alert" }, framing = "one",
  settings = { { "url", type = "url", required = true } }, batch = { records = 1, bytes = 100000 } }
function S.map(rec) return { text = rec.title } end
function S.request(batch, settings) return { url = settings.url } end
return S`);
  await engine.start();
  const chat = { name: 'x', sink: 'chat', settings: { url: receiver.url } };
  for (const [type, words] of [['usage_and_events', /chat.*takes no records of type/], ['alert', /usage_and_events or alerts/]]) {
    const answer = await engine.call('POST', '/api/v1/streams', { ...chat, type });
    assert.equal(answer.status, 422);
    assert.match(answer.json.detail, words);
  }
  await engine.stream({ ...chat, type: 'alerts' });
  await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: EACH_ALONE });
  const record = event();
  await engine.send([record]);
  assert.deepEqual(await receiver.arrived(1), [{ text: `record ${record.id}` }]);
});
