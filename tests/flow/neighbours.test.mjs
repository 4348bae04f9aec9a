// Neighbours: one slow, dead or hostile receiver costs the other streams nothing.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

async function slowReceiver() { // answers one byte a second
  const sockets = new Set();
  const server = createServer((socket) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
    let at = 0;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resume();
    const timer = setInterval(() => (at < answer.length ? socket.write(answer[at++]) : clearInterval(timer)), 1000);
    socket.on('close', () => clearInterval(timer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/`, end: () => { sockets.forEach((s) => s.destroy()); server.close(); } };
}

async function rate(engine, receiver, rounds) {
  const before = receiver.records.length, begun = performance.now();
  for (let i = 0; i < rounds; i++) await engine.send(many(500, (n) => usage({ endpoint: { id: n } })));
  await receiver.arrived(before + rounds * 500, 60000);
  return (rounds * 500) / (performance.now() - begun);
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

test('a receiver that answers one byte a second slows no other stream, and memory stays flat', { timeout: 120000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start(), slow = await slowReceiver();
  t.after(async () => { await engine.end(); receiver.end(); slow.end(); });
  await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  const stuck = await engine.stream({ sink: 'rest_bulk', settings: { url: slow.url, timeout_s: 60 } });
  const turn = (how) => engine.call('POST', `/api/v1/streams/${stuck.id}/${how}`);
  await rate(engine, receiver, 20);
  const memory = engine.memory(), alone = [], beside = [];
  for (let i = 0; i < 5; i++) { // by turns, so that both see the same noise
    await turn('deactivate');
    alone.push(await rate(engine, receiver, 15));
    await turn('activate');
    beside.push(await rate(engine, receiver, 15));
  }
  const ratio = median(beside) / median(alone);
  console.log(JSON.stringify({ alone_per_ms: median(alone).toFixed(1), beside_per_ms: median(beside).toFixed(1), ratio: ratio.toFixed(2), grown_mb: ((engine.memory() - memory) / 1e6).toFixed(1) }));
  assert.ok(ratio > 0.7, `${alone} records a ms alone, ${beside} beside the slow one`); // 0.95 and more on a quiet machine
  assert.ok(engine.memory() - memory < 60e6);
  assert.equal((await engine.status(stuck.id)).delivered, 0);
});

test('a receiver that is not there: its stream retries, then catches up with all of it when it comes back', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  let down = true;
  receiver.answer = () => (down ? 503 : 200);
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  const sent = many(2000, (i) => usage({ endpoint: { id: i % 100 } }));
  for (let i = 0; i < sent.length; i += 500) await engine.send(sent.slice(i, i + 500));
  await until(async () => (await engine.status(stream.id)).state === 'retrying', 'the stream to retry');
  const status = await engine.status(stream.id);
  assert.deepEqual([status.remote_status, status.last_http_status, status.delivered], ['deactivated', 503, 0]);
  down = false;
  await receiver.arrived(2000);
  await until(async () => (await engine.status(stream.id)).state === 'live', 'the stream to be live');
  assert.equal(new Set(receiver.records.map((r) => r.id)).size, 2000);
});

test('answers that mean a mistake pause the stream with the data kept; activate goes on', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  receiver.answer = () => 403;
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  await engine.send(many(100, () => usage()));
  await until(async () => (await engine.status(stream.id)).state === 'paused', 'the stream to pause');
  assert.match((await engine.status(stream.id)).last_error, /403.*; activate the stream to go on$/);
  const mended = await engine.call('PATCH', `/api/v1/streams/${stream.id}`, { settings: { url: `${receiver.url}/mended` } });
  assert.equal(mended.json.status.state, 'paused');
  assert.match(mended.json.status.last_error, /; activate the stream to go on$/);
  receiver.answer = () => 200;
  assert.equal((await engine.call('POST', `/api/v1/streams/${stream.id}/activate`)).status, 200);
  await receiver.arrived(100);
});

test('a 400 halves the batch until the culprit stands alone as a dead letter', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  receiver.answer = ({ records }) => (records.some((r) => r.bad) ? { status: 400, body: 'no such thing' } : 200);
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  const sent = many(200, (i) => usage({ endpoint: { id: i }, bad: i === 77 }));
  await engine.send(sent);
  await receiver.arrived(199);
  const [letter] = await until(async () => { const d = await engine.deadLetters(stream.id); return d.length && d; }, 'the dead letter');
  assert.deepEqual([letter.record.id, letter.http_status, letter.answer, letter.kind], [sent[77].id, 400, 'no such thing', 'usage']);
});

test('deactivate keeps the position, activate goes on from it, delete tells what was undelivered', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const { id } = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  await engine.send(many(10, () => usage()));
  await receiver.arrived(10);
  assert.equal((await engine.call('POST', `/api/v1/streams/${id}/deactivate`)).json.status.state, 'inactive');
  await engine.send(many(20, () => usage()));
  assert.equal((await engine.call('POST', `/api/v1/streams/${id}/activate`)).status, 200);
  await receiver.arrived(30);
  assert.equal(receiver.records.length, 30);
  await engine.call('POST', `/api/v1/streams/${id}/deactivate`);
  await engine.send(many(5, () => usage()));
  await until(async () => (await engine.status(id)).lag_records === 5, 'the lag to show');
  assert.deepEqual((await engine.call('DELETE', `/api/v1/streams/${id}`)).json, { undelivered: 5 });
  assert.equal((await engine.call('GET', `/api/v1/streams/${id}`)).status, 404);
});

test('a PATCH takes over between two batches; a wrong one changes nothing', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const script = (v) => `local M = {api=1} function M.map(rec) return {id = rec.id, v = ${v}} end return M`;
  const { id } = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: script(1) });
  await engine.send(many(10, () => usage()));
  await receiver.arrived(10);
  const wrong = await engine.call('PATCH', `/api/v1/streams/${id}`, { script: 'local M = {' });
  assert.equal(wrong.status, 422);
  assert.equal((await engine.call('PATCH', `/api/v1/streams/${id}`, { type: 'events' })).status, 422);
  assert.equal((await engine.call('PATCH', `/api/v1/streams/${id}`, { script: script(2), in_flight: 2 })).status, 200);
  await engine.send(many(10, () => usage()));
  const got = await receiver.arrived(20);
  assert.deepEqual(got.map((r) => r.v), [...many(10, () => 1), ...many(10, () => 2)]);
});

test('an address that is not allowed is refused before any connection', async (t) => {
  const engine = await Engine.start({ egress: { allow: [] } }), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const { id } = await engine.stream({ sink: 'rest', settings: { url: receiver.url } });
  await engine.send([usage()]);
  await until(async () => (await engine.status(id)).state === 'paused', 'the stream to pause');
  assert.match((await engine.status(id)).last_error, /127\.0\.0\.1/);
  assert.equal(receiver.requests.length, 0);
});

test('streams whose records share a job with a script that kills its worker lose and repeat nothing', { timeout: 90000 }, async (t) => {
  const engine = await Engine.start({ workers: 1, couriers: 1 }), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const kept = 'local M = {api = 1} function M.map(rec) return {id = rec.id, organisation = rec.organisation.id} end return M';
  // Instructions that take long each: the clock, asked every 1,000 of them, comes too late, and the engine kills the worker.
  const hostile = `local M = {api = 1} function M.map(rec)
    if rec.fatal then local s = ("x"):rep(2 ^ 20) s = s .. s local a, b = s .. "a", s .. "b" while a < b do end end
    return {id = rec.id, organisation = rec.organisation.id} end return M`;
  const organisations = many(30, (i) => 70000 + i);
  const streams = [];
  for (const organisation_id of organisations)
    streams.push(await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, organisation_id, script: organisation_id === 70011 ? hostile : kept }));
  const sent = many(900, (i) => usage({ organisation: { id: organisations[i % 30] }, endpoint: { id: i % 90 }, fatal: i === 401 }));
  for (let i = 0; i < sent.length; i += 300) await engine.send(sent.slice(i, i + 300));
  const got = await receiver.arrived(899);
  assert.equal(sent[401].organisation.id, 70011);
  assert.deepEqual(got.map((r) => r.id).sort((a, b) => a - b), sent.filter((r) => !r.fatal).map((r) => r.id).sort((a, b) => a - b));
  const letters = await until(async () => { const d = await engine.deadLetters(streams[11].id); return d.length && d; }, 'the dead letter');
  assert.deepEqual(letters.map((d) => d.record.id), [sent[401].id]);
  assert.match(letters[0].reason, /worker/);
  for (const { id } of streams) assert.equal((await engine.status(id)).dead, id === streams[11].id ? 1 : 0);
});
