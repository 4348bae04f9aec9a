// Batches that are made again: after a stop, a change, or for want of memory nothing is lost, torn, or kept for nothing.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

const later = { status: 503, headers: { 'retry-after': '60' } };

async function road(t, answer, config) {
  const receiver = await Receiver.start(answer);
  const engine = await Engine.start(config);
  t.after(async () => { await engine.end(); receiver.end(); });
  return { engine, receiver };
}

// A promise that somebody else keeps.
function promise() {
  let keep;
  const made = new Promise((done) => { keep = done; });
  return Object.assign(made, { keep });
}

const act = (engine, stream, what) => engine.call('POST', `/api/v1/streams/${stream.id}/${what}`);
const batchBytes = async (engine) => Number((await engine.call('GET', '/metrics')).text.match(/^sluice_batch_bytes (\S+)/m)[1]);
const settled = (engine, stream) => until(async () => (await engine.status(stream.id)).lag_records === 0, 'no lag');

// All eight lanes with a request each, and behind those `count` records for each endpoint, mixed. Returns what was sent. Endpoints may
// share a lane by chance: then the next one is tried.
async function fillLanes(engine, receiver, count) {
  const sent = [];
  const send = async (records) => { sent.push(...records); await engine.send(records); };
  let endpoints = 0;
  for (let lane = 1; lane <= 8;) {
    await send([usage({ endpoint: { id: ++endpoints } })]);
    await until(() => receiver.requests.length === lane, 'a lane', 300).then(() => lane++, () => {});
  }
  await send(many(8 * count, (i) => usage({ endpoint: { id: 1 + (i % endpoints) } })));
  return sent;
}

test('the lag counts what a dead receiver has not taken', async (t) => {
  const { engine, receiver } = await road(t, () => 503);
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  await engine.send(many(50, usage));
  await until(async () => (await engine.status(stream.id)).lag_records === 50, 'a lag of 50');
});

for (const failing of [1, 2, 3])
  test(`one record's several outputs stay requests of their own when number ${failing} is made again`, async (t) => {
    let up = false;
    const { engine, receiver } = await road(t, ({ records }) => (up || records[0].n !== failing ? 200 : later));
    const script = 'return { api = 1, map = function(rec) return array{ { id = rec.id, n = 1 }, { id = rec.id, n = 2 }, { id = rec.id, n = 3 } } end }';
    const stream = await engine.stream({ sink: 'rest', settings: { url: receiver.url }, script });
    const sent = many(3, (i) => usage({ endpoint: { id: 5 } }));
    await engine.send(sent);
    await until(() => receiver.requests.at(-1)?.records[0].n === failing, 'the failure');
    await act(engine, stream, 'deactivate');
    up = true;
    await act(engine, stream, 'activate');
    await settled(engine, stream);
    assert.ok(receiver.requests.every((r) => r.records.length === 1));
    const seen = new Set();
    const first = receiver.records.filter((r) => { const key = `${r.id}.${r.n}`, is = !seen.has(key); seen.add(key); return is; });
    assert.deepEqual(first, sent.flatMap(({ id }) => [1, 2, 3].map((n) => ({ id, n }))));
  });

test('a request that was out while its stream changed is made again by the new version', async (t) => {
  const held = promise();
  const { engine, receiver } = await road(t, () => held);
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  const sent = many(10, usage);
  await engine.send(sent);
  await until(() => receiver.requests.length, 'the request');
  const change = { settings: { format: 'ndjson' }, script: 'return { api = 1, map = function(rec) return { id = rec.id } end }' };
  assert.equal((await engine.call('PATCH', `/api/v1/streams/${stream.id}`, change)).status, 200);
  receiver.answer = () => 200;
  held.keep({ status: 503, headers: { 'retry-after': '1' } });
  await receiver.arrived(10);
  const [before, after] = receiver.requests;
  assert.ok(before.body.startsWith('[{'));
  assert.equal(after.body, sent.map(({ id }) => `{"id":${id}}\n`).join(''));
  assert.equal(after.headers['webhook-id'], before.headers['webhook-id']);
});

test('a paused stream gives back the memory of all its requests', async (t) => {
  const held = promise();
  const { engine, receiver } = await road(t, () => held);
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  const sent = await fillLanes(engine, receiver, 100);
  await until(async () => await batchBytes(engine) > 100_000, 'batches');
  held.keep(401);
  await until(async () => (await engine.status(stream.id)).state === 'paused', 'the pause');
  await until(async () => await batchBytes(engine) === 0, 'the memory');
  receiver.answer = () => 200;
  await act(engine, stream, 'activate');
  await receiver.arrived(sent.length);
  assert.equal(new Set(receiver.records.map((r) => r.id)).size, sent.length);
});

test('batches that outgrow their room when they are made again still go', async (t) => {
  const held = promise();
  const { engine, receiver } = await road(t, () => held, { limits: { memory: '16MB' } });
  const script = (bytes) => `return { api = 1, map = function(rec) return { id = rec.id, at = rec.endpoint.id, text = string.rep("x", ${bytes}) } end }`;
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: script(100) });
  const sent = await fillLanes(engine, receiver, 200);
  receiver.answer = () => later;
  held.keep(200);
  await until(() => receiver.requests.length >= 13, 'five more requests'); // then the breaker may hold the other lanes
  await act(engine, stream, 'deactivate');
  assert.equal((await engine.call('PATCH', `/api/v1/streams/${stream.id}`, { script: script(15000) })).status, 200);
  receiver.answer = () => 200;
  await act(engine, stream, 'activate');
  await receiver.arrived(sent.length);
  await settled(engine, stream);
  assert.equal(receiver.records.length, sent.length);
  for (const at of new Set(sent.map((r) => r.endpoint.id))) // in order, whatever batches they went in
    assert.deepEqual(receiver.records.filter((r) => r.at === at).map((r) => r.id), sent.filter((r) => r.endpoint.id === at).map((r) => r.id));
});
