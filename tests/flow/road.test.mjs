// The road, end to end: what comes in by HTTP arrives at the receiver as the stream's script made it.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { event, usage, many } from '../support/records.mjs';

async function road(t, config) {
  const receiver = await Receiver.start();
  const engine = await Engine.start(config);
  t.after(async () => { await engine.end(); receiver.end(); });
  return { engine, receiver };
}

test('a record without a script arrives byte for byte', async (t) => {
  const { engine, receiver } = await road(t);
  await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  const text = '{"id":9007199254740993, "organisation": {"id":1}, "volume":{"tx":0.008531,"e":[],"o":{}},"x":null,"big":123456789012345678901234567890,"u":"\\u0041\\u0000ü"}';
  const answer = await engine.call('POST', '/api/v1/records', text);
  assert.deepEqual(answer.json, { accepted: 1, duplicates: 0, rejected: [] });
  await receiver.arrived(1);
  assert.equal(receiver.requests[0].body, text);
  assert.match(receiver.requests[0].headers['user-agent'], /^Sluice\//);
  assert.match(receiver.requests[0].headers['webhook-id'], /^st_[a-z2-7]+-\d+$/);
});

test('filter and map decide what arrives, and every drop is counted by its reason', async (t) => {
  const { engine, receiver } = await road(t);
  const script = `local M = { api = 1 }
    M.match = { kind = { "event" } }
    function M.filter(rec) return rec.event_severity.id >= 1, "below warning" end
    function M.map(rec, ctx) return { id = rec.id, who = rec.endpoint.name, none = null, tags = array{}, rx = 0.1 + 0.2 } end
    return M`;
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script });
  const warn = { id: 1, description: 'Warn' };
  const sent = [event(), event({ event_severity: warn }), usage(), event({ event_severity: warn })];
  await engine.send(sent);
  const got = await receiver.arrived(2);
  assert.deepEqual(got, [sent[1], sent[3]].map((r) => ({ id: r.id, who: 'GPS Tracker', none: null, tags: [], rx: 0.1 + 0.2 })));
  const status = await until(async () => { const now = await engine.status(stream.id); return now.delivered === 2 && now.lag_records === 0 && now; }, 'both to be counted');
  assert.deepEqual([status.filtered, status.state], [2, 'live']);
  assert.deepEqual(status.filtered_by, { 'below warning': 1, match: 1 });
});

test('the metrics count new records by kind, duplicates apart, and time answered requests by sink', async (t) => {
  const { engine, receiver } = await road(t);
  await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  const sent = [event(), event(), usage()];
  await engine.send(sent);
  const again = await engine.call('POST', '/api/v1/records', JSON.stringify([...sent, usage()]), { 'Content-Type': 'application/json' });
  assert.deepEqual(again.json, { accepted: 1, duplicates: 3, rejected: [] });
  await receiver.arrived(4);
  const number = async (name) => Number((await engine.call('GET', '/metrics')).text.split('\n').find((line) => line.startsWith(`${name} `))?.slice(name.length));
  await until(async () => (await number('sluice_request_seconds_count{sink="rest"}')) === 4, 'four answers');
  assert.equal(await number('sluice_records_ingested_total{kind="event"}'), 2);
  assert.equal(await number('sluice_records_ingested_total{kind="usage"}'), 2);
  assert.equal(await number('sluice_records_duplicate_total'), 3);
  assert.equal(await number('sluice_request_seconds_bucket{sink="rest",le="+Inf"}'), 4);
  assert.equal(await number('sluice_request_seconds_bucket{sink="rest",le="60"}'), 4);
  assert.ok((await number('sluice_request_seconds_sum{sink="rest"}')) > 0);
  assert.ok((await number('sluice_request_seconds_bucket{sink="rest",le="0.001"}')) <= 4);
});

test('a stream of one organisation gets that organisation\'s records and no others', async (t) => {
  const { engine, receiver } = await road(t);
  await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, organisation_id: 7, type: 'usage' });
  await engine.send(many(300, (i) => usage({ organisation: { id: i % 10 } })));
  const got = await receiver.arrived(30);
  assert.ok(got.every((r) => r.organisation.id === 7));
});

test('the samples of the platform pass the whole road unchanged', async (t) => {
  const { engine, receiver } = await road(t);
  await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url, format: 'ndjson', gzip: true } });
  const lines = many(700, (i) => (i % 3 ? usage({ endpoint: { id: i } }) : event({ endpoint: { id: i } })));
  const answer = await engine.call('POST', '/api/v1/records', lines.map((r) => JSON.stringify(r)).join('\n'), { 'Content-Type': 'application/x-ndjson' });
  assert.equal(answer.json.accepted, 700);
  const got = await receiver.arrived(700);
  const byId = new Map(got.map((r) => [r.id, r]));
  for (const r of lines) assert.deepEqual(byId.get(r.id), r);
});

test('a second copy of a record is answered as a duplicate and delivered once, also after a restart', async (t) => {
  const { engine, receiver } = await road(t);
  await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  const r = usage();
  assert.deepEqual(await engine.send([r, r]), { accepted: 1, duplicates: 1, rejected: [] });
  await engine.kill();
  await engine.start();
  assert.deepEqual(await engine.send([r, usage()]), { accepted: 1, duplicates: 1, rejected: [] });
  await receiver.arrived(2);
  await engine.stop();
  assert.equal(receiver.records.filter((x) => x.id === r.id).length <= 2, true);
});

test('records of one endpoint arrive in order with 8 lanes and a receiver that fails one request in five', { timeout: 120000 }, async (t) => {
  const { engine, receiver } = await road(t);
  let n = 0;
  receiver.answer = () => (n++ % 5 === 4 ? 500 : 200);
  await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url, max_records: 100 }, in_flight: 8 });
  const sent = many(4000, (i) => usage({ endpoint: { id: i % 40 === 39 ? 'a text' : i % 40 }, turn: i }));
  for (let i = 0; i < sent.length; i += 500) await engine.send(sent.slice(i, i + 500));
  await receiver.arrived(4000, 90000);
  const last = new Map();
  for (const r of receiver.records) {
    assert.ok(!(last.get(r.endpoint.id) >= r.turn), `endpoint ${r.endpoint.id}: ${r.turn} after ${last.get(r.endpoint.id)}`);
    last.set(r.endpoint.id, r.turn);
  }
});

test('in single mode a record in retry holds its own endpoint alone', { timeout: 60000 }, async (t) => {
  const { engine, receiver } = await road(t);
  let failed = 0;
  receiver.answer = ({ records: [r] }) => (r.endpoint.id === 13 && failed++ < 3 ? 503 : 200);
  await engine.stream({ sink: 'rest', settings: { url: receiver.url }, in_flight: 2 });
  const sent = many(200, (i) => usage({ endpoint: { id: 10 + (i % 10) }, turn: i }));
  await engine.send(sent);
  await receiver.arrived(200);
  const at13 = receiver.records.map((r, i) => [r, i]).filter(([r]) => r.endpoint.id === 13);
  assert.deepEqual(at13.map(([r]) => r.turn), sent.filter((r) => r.endpoint.id === 13).map((r) => r.turn));
  assert.ok(at13[0][1] >= 150, 'the others did not wait');
});
