// A full disk: ingest is refused, deliveries go on, nothing acknowledged is lost, and it heals by itself.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine, until } from '../support/engine.mjs';
import { Receiver } from '../support/receiver.mjs';
import { usage, many } from '../support/records.mjs';

const noise = () => Array.from({ length: 160 }, () => Math.random().toString(36).slice(2)).join(''); // does not compress away

function smallDisk(t) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', folder]);
  t.after(() => { spawnSync('umount', ['-l', folder]); rmSync(folder, { recursive: true, force: true }); });
  return mounted.status === 0 && { folder, grow: () => spawnSync('mount', ['-o', 'remount,size=200m', folder]) };
}

test('a full disk is answered 503 without loss and heals without a restart', { timeout: 120000 }, async (t) => {
  const disk = smallDisk(t);
  if (!disk) return t.skip('mounting a small disk needs root');
  const engine = await Engine.start({ data: join(disk.folder, 'data') }), receiver = await Receiver.start();
  t.after(async () => { await engine.end(); receiver.end(); });
  const { id } = await engine.stream({ sink: 'rest_bulk', settings: { url: receiver.url } });
  const taken = new Set();
  let refused;
  for (let i = 0; i < 2000 && !refused; i++) {
    const batch = many(200, () => usage({ noise: noise() }));
    const answer = await engine.call('POST', '/api/v1/records', batch);
    if (answer.status === 200) batch.forEach((r) => taken.add(r.id));
    else refused = answer;
  }
  assert.equal(refused.status, 503);
  assert.match(refused.json.detail, /disk is full/);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.equal((await engine.call('GET', '/readyz')).status, 503);
  await receiver.arrived(taken.size);
  await until(async () => (await engine.status(id)).lag_records === 0, 'all that was taken to be settled');
  disk.grow();
  const last = usage();
  await until(async () => (await engine.call('POST', '/api/v1/records', [last])).status === 200, 'the engine to heal');
  await receiver.arrived(taken.size + 1);
  assert.equal(new Set(receiver.records.map((r) => r.id)).size, taken.size + 1);
  await engine.kill();
  await engine.start();
  assert.equal((await engine.send([last])).duplicates, 1);
  await until(async () => (await engine.status(id)).state === 'live', 'the stream to deliver again');
});
