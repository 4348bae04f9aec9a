// Windows of a stream's script (ctx.count, sum, get, set): exact, and one with the position, whatever dies in the middle.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { event, many } from '../support/records.mjs';

const COUNTED = `
local M = { api = 1 }
function M.map(rec, ctx)
  local e = rec.endpoint.id
  local last = ctx.get("last:" .. e)
  ctx.set("last:" .. e, rec.id)
  return { id = rec.id, e = e, n = ctx.count("k:" .. e, "24h"), sum = ctx.sum("s:" .. e, rec.id % 7, "24h"), last = last }
end
return M`;

const ENDPOINTS = 5;
const batch = (count) => many(count, (i) => event({ endpoint: { id: 1 + (i * i) % ENDPOINTS } }));

// What each record must be mapped to, in the order in which they were sent: one courier reads what one client sends in that order.
function expected(records) {
  const n = new Map(), sum = new Map(), last = new Map(), out = new Map();
  for (const r of records) {
    const e = r.endpoint.id;
    n.set(e, (n.get(e) ?? 0) + 1);
    sum.set(e, (sum.get(e) ?? 0) + r.id % 7);
    out.set(r.id, { id: r.id, e, n: n.get(e), sum: sum.get(e), ...(last.has(e) ? { last: last.get(e) } : {}) });
    last.set(e, r.id);
  }
  return out;
}

function check(receiver, sent) {
  const want = expected(sent), seen = new Set();
  const tried = receiver.requests.flatMap((r) => r.records); // refused ones too: the number is the same each time
  for (const r of tried) assert.deepEqual(r, want.get(r.id));
  for (const r of receiver.records) seen.add(r.id);
  assert.equal(seen.size, sent.length);
}

async function open(t, answer, config) {
  const engine = await Engine.start(config), receiver = await Receiver.start(answer);
  t.after(async () => { await engine.end(); receiver.end(); });
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, script: COUNTED, in_flight: 3 });
  return { engine, receiver, stream };
}

const settled = (engine, id) => until(async () => (await engine.status(id)).lag_records === 0, 'all to be settled', 60000);

test('counts are the same through kills and a receiver that fails', { timeout: 180000 }, async (t) => {
  let asked = 0;
  const { engine, receiver, stream } = await open(t, () => (++asked % 5 ? 200 : 503));
  const sent = [];
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 4; i++) {
      const some = batch(150);
      await engine.send(some);
      sent.push(...some);
    }
    await until(() => receiver.requests.length > round * 2, 'requests');
    const wait = Math.random() * 300; // anywhere between reading, delivering and saving
    await new Promise((go) => setTimeout(go, wait));
    await engine.kill();
    await engine.start();
  }
  await until(() => new Set(receiver.records.map((r) => r.id)).size === sent.length, 'all to be delivered', 90000);
  await settled(engine, stream.id);
  check(receiver, sent);
});

test('counts go on when a worker dies in the middle', { timeout: 120000 }, async (t) => {
  const { engine, receiver, stream } = await open(t, undefined, { workers: 1 });
  const sent = [];
  for (let round = 0; round < 5; round++) {
    const some = batch(400);
    const sending = engine.send(some);
    sent.push(...some);
    if (round) {
      const children = readFileSync(`/proc/${engine.pid}/task/${engine.pid}/children`, 'utf8').split(' ').filter(Boolean);
      for (const pid of children) try { process.kill(Number(pid), 'SIGKILL'); } catch { /* it has just been replaced */ }
    }
    await sending;
    await receiver.arrived(sent.length / 2);
  }
  await until(() => new Set(receiver.records.map((r) => r.id)).size === sent.length, 'all to be delivered');
  await settled(engine, stream.id);
  check(receiver, sent);
});

test('windows outlive a new script, a time without one, and a stop', { timeout: 120000 }, async (t) => {
  const { engine, receiver, stream } = await open(t);
  const change = async (fields) => {
    const answer = await engine.call('PATCH', `/api/v1/streams/${stream.id}`, fields);
    assert.equal(answer.status, 200, answer.text);
  };
  const numbers = async (count) => {
    const from = receiver.records.length;
    await engine.send(many(count, () => event({ endpoint: { id: 1 } })));
    await receiver.arrived(from + count);
    await settled(engine, stream.id);
    return receiver.records.slice(from).map((r) => r.n).sort((a, b) => a - b);
  };
  assert.deepEqual(await numbers(3), [1, 2, 3]);
  await change({ script: COUNTED.replace('{ id = rec.id', '{ again = true, id = rec.id') });
  assert.deepEqual(await numbers(2), [4, 5]);
  assert.ok(receiver.records.at(-1).again);
  await change({ script: null });
  assert.equal((await numbers(2)).filter(Boolean).length, 0);
  await change({ script: COUNTED });
  assert.deepEqual(await numbers(2), [6, 7]);
  await engine.stop();
  await engine.start();
  assert.deepEqual(await numbers(1), [8]);
});

test('a record that fails leaves no trace', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start(), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url },
    script: 'local M = { api = 1 }\nfunction M.map(rec, ctx)\n local n = ctx.count("k", "24h")\n if rec.user.id == 13 then error("no") end\n return { id = rec.id, n = n }\nend\nreturn M' });
  const users = [1, 13, 1, 13, 13, 1];
  await engine.send(users.map((id) => event({ user: { id } })));
  await receiver.arrived(3);
  await until(async () => (await engine.deadLetters(stream.id)).length === 3, 'the dead letters');
  await settled(engine, stream.id);
  await engine.kill();
  await engine.start();
  await engine.send([event({ user: { id: 1 } })]);
  const seen = () => [...new Map(receiver.records.map((r) => [`${r.id} ${r.n}`, r.n])).values()].sort(); // one delivered twice counts once
  await until(() => seen().length >= 4, 'the record after the crash');
  assert.deepEqual(seen(), [1, 2, 3, 4]);
});

test('a record that ends its worker leaves no trace either, and holds nothing up after a crash', { timeout: 120000 }, async (t) => {
  let well = false;
  const engine = await Engine.start(), receiver = await Receiver.start(() => (well ? 200 : 503));
  t.after(async () => { await engine.end(); receiver.end(); });
  const stream = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url },
    script: 'local M = { api = 1 }\nfunction M.map(rec, ctx)\n local n = ctx.count("k", "24h")\n while rec.user.id == 13 do end\n return { id = rec.id, n = n }\nend\nreturn M' });
  const users = [1, 13, 1, 1, 13, 1, 1, 1];
  const sent = users.map((id) => event({ user: { id } }));
  await engine.send(sent);
  await until(async () => (await engine.deadLetters(stream.id)).length === 2, 'the dead letters');
  await until(() => receiver.requests.length > 0, 'a request');
  await engine.kill(); // the dead letters' records may be known as settled, behind the position
  await engine.start();
  well = true;
  const more = event({ user: { id: 1 } });
  await engine.send([more]);
  await until(() => new Set(receiver.records.map((r) => r.id)).size === 7, 'all to be delivered');
  await settled(engine, stream.id);
  const want = new Map([...sent.filter((r) => r.user.id === 1), more].map((r, i) => [r.id, i + 1]));
  for (const r of receiver.requests.flatMap((q) => q.records)) assert.equal(r.n, want.get(r.id));
  assert.equal((await engine.deadLetters(stream.id)).length, 2);
});

test('what is settled far ahead counts again after a crash, though the first record settles at once', { timeout: 120000 }, async (t) => {
  let well = false;
  const { engine, receiver, stream } = await open(t, (request) => (well || request.records.every((r) => r.e !== 9) ? 200 : 503));
  const held = event({ endpoint: { id: 9 } }), sent = [held];
  await engine.send([held]);
  await until(() => receiver.requests.length > 0, 'the first request');
  for (let i = 0; i < 8; i++) {
    const some = many(1000, (k) => event({ endpoint: { id: 10 + (k % 50) } }));
    await engine.send(some);
    sent.push(...some);
  }
  await until(() => receiver.records.length >= 3000, 'many to be delivered');
  await until(async () => (await engine.status(stream.id)).delivered >= 3000, 'many to be settled');
  await engine.stop(); // saves what is settled behind the position
  well = true;
  await engine.start();
  await until(() => receiver.records.some((r) => r.id === held.id), 'the first record');
  await engine.kill();
  await engine.start();
  const more = many(100, (k) => event({ endpoint: { id: 10 + (k % 50) } }));
  await engine.send(more);
  sent.push(...more);
  await until(() => new Set(receiver.records.map((r) => r.id)).size === sent.length, 'all to be delivered', 60000);
  await settled(engine, stream.id);
  check(receiver, sent);
});
