// isolation = "organisation": each organisation's scripts run in a process of their own, which comes with its first record and goes with its last stream.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

const script = 'local M = { api = 1 } function M.map(rec) if rec.loops then while true do end end return { id = rec.id } end return M';

function workers(engine) { // as status files of the engine's children
  const children = readdirSync(`/proc/${engine.pid}/task`).flatMap((task) => readFileSync(`/proc/${engine.pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean));
  return children.flatMap((pid) => { try { return [readFileSync(`/proc/${pid}/status`, 'utf8')]; } catch { return []; } }); // it has just ended
}

test('organisations share no worker, and a worker goes with the last stream of its organisation', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start({ isolation: 'organisation' }), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  await until(() => workers(engine).length === 0, 'no worker to be there');
  const organisations = many(5, (i) => 90000 + i), streams = [];
  for (const organisation_id of [...organisations, ...organisations])
    streams.push(await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, organisation_id, script }));
  await engine.send(many(500, (i) => usage({ organisation: { id: organisations[i % 5] } })));
  await receiver.arrived(1000);
  const running = workers(engine);
  assert.equal(running.length, 5);
  if (process.getuid() === 0) {
    const users = running.map((status) => Number(status.match(/^Uid:\s+(\d+)/m)[1]));
    assert.equal(new Set(users).size, 5);
    assert.ok(users.every((user) => user > 60000), users.join());
  }
  for (const { id } of streams.slice(0, 4)) await engine.call('DELETE', `/api/v1/streams/${id}`);
  for (const { id } of streams.slice(5, 9)) await engine.call('DELETE', `/api/v1/streams/${id}`);
  await until(() => workers(engine).length === 1, 'the workers of four organisations to end');
  await engine.send([usage({ organisation: { id: organisations[4] } })]);
  await receiver.arrived(1002);
});

test('a script that takes too long slows its own organisation alone', { timeout: 60000 }, async (t) => {
  const engine = await Engine.start({ isolation: 'organisation' }), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const one = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, organisation_id: 1, script });
  const two = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url }, organisation_id: 2, script });
  await engine.send(many(40, (i) => usage({ organisation: { id: 1 + (i % 2) }, loops: i < 20 && i % 2 === 0 ? true : undefined })));
  await until(async () => (await engine.status(two.id)).delivered === 20, 'the other organisation');
  await until(async () => (await engine.status(one.id)).delivered === 10, 'the records that do not loop');
  const status = await engine.status(one.id);
  assert.equal(status.dead, 10);
  assert.ok(new Date(status.slowed_until) > new Date());
  assert.equal((await engine.status(two.id)).slowed_until, null);
  assert.equal(new Set(receiver.records.map((r) => r.id)).size, 30);
});
